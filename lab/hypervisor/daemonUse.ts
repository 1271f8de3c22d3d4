/** Whether anything needs the checkout's libvirt daemon. */
import { existsSync } from "node:fs";
import { daemonFolder } from "../config/places.ts";
import { connectionUri } from "./connection.ts";
import { startDaemon, stopDaemon } from "./daemon.ts";
import { domainNames, poolNames } from "./virsh.ts";

/**
 * Starts the daemon again where it has been killed, if a URI of libvirt's clients is its own. One that was
 * stopped, because nothing needs it, has left no folder.
 */
export async function ensureDaemonOf(uri: string): Promise<void> {
  if (uri === connectionUri("qemu:///session") && existsSync(daemonFolder())) await startDaemon();
}

/** Stops the daemon unless a stack has a domain or a pool in it; names those that have. */
export async function stopUnlessNeeded(): Promise<{ stopped: boolean; neededBy: string[] }> {
  // Its definitions are on disk: they are asked of the daemon, which may have to be started for it.
  await startDaemon();
  const uri = connectionUri("qemu:///session");
  const neededBy = [...new Set([...(await domainNames(uri)), ...(await poolNames(uri))])];
  return neededBy.length > 0 ? { stopped: false, neededBy } : { ...(await stopDaemon()), neededBy };
}
