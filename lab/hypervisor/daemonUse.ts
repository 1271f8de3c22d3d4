/** Whether anything needs the checkout's libvirt daemon. */
import { existsSync } from "node:fs";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { daemonFolder, places } from "../config/places.ts";
import { connectionUri, isPrivateDaemon } from "./connection.ts";
import { startDaemon, stopDaemon } from "./daemon.ts";
import { isRunning } from "./processes.ts";
import { domainNames, poolNames } from "./virsh.ts";

/**
 * Starts the daemon again where it has been killed, if a URI of libvirt's clients is its own. One that was
 * stopped, because nothing needs it, has left no folder.
 */
export async function ensureDaemonOf(uri: string): Promise<void> {
  if (isPrivateDaemon(uri) && existsSync(daemonFolder())) await startDaemon();
}

const holdsFolder = (): string => join(places().state, "daemon-holds");

/**
 * Keeps the daemon from being stopped while this process makes and removes several stacks: one that has
 * no domain yet must not lose it to another that has just lost its own.
 * @returns lets go
 */
export async function holdDaemon(): Promise<() => Promise<void>> {
  const file = join(holdsFolder(), String(process.pid));
  await mkdir(holdsFolder(), { recursive: true });
  await writeFile(file, "");
  return () => rm(file, { force: true });
}

/** The processes that hold it; what a killed one has left is removed. */
async function holders(): Promise<string[]> {
  const alive: string[] = [];
  for (const pid of await readdir(holdsFolder()).catch(() => [])) {
    if (await isRunning(Number(pid))) alive.push(`process ${pid}`);
    else await rm(join(holdsFolder(), pid), { force: true });
  }
  return alive;
}

/** Stops the daemon unless a stack has a domain or a pool in it; names those that have. */
export async function stopUnlessNeeded(): Promise<{ stopped: boolean; neededBy: string[] }> {
  const held = await holders();
  if (held.length > 0) return { stopped: false, neededBy: held };
  // Its definitions are on disk: they are asked of the daemon, which may have to be started for it.
  await startDaemon();
  const uri = connectionUri("qemu:///session");
  const neededBy = [...new Set([...(await domainNames(uri)), ...(await poolNames(uri))])];
  return neededBy.length > 0 ? { stopped: false, neededBy } : { ...(await stopDaemon()), neededBy };
}
