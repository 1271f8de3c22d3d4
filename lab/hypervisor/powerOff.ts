/** Takes the power away from a domain whose disks nobody wants any more. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { daemonFolder } from "../config/places.ts";
import { isPrivateDaemon } from "./connection.ts";
import { virsh } from "./virsh.ts";

const killedMs = 2_000;
const pollMs = 3;

/**
 * Ends a domain, if it runs, without what it has not yet written to its disks. One of the checkout's own
 * daemon is ended by its process: libvirt would ask QEMU to end, and look after 200 ms whether it has
 * (virProcessKillPainfullyDelay of its src/util/virprocess.c).
 * @param uri as libvirt's clients take it
 */
export async function powerOff(uri: string, name: string): Promise<void> {
  if (isPrivateDaemon(uri)) await kill(name);
  // It also waits until libvirt has noticed. Fails when the domain doesn't run, or never did.
  await virsh(uri, ["destroy", name]).catch(() => undefined);
}

async function kill(name: string): Promise<void> {
  const pid = await qemuOf(name);
  if (pid === undefined) return;
  try {
    process.kill(pid, "SIGKILL");
    const until = performance.now() + killedMs;
    // Until it is collected: what can still be signalled libvirt takes for running.
    while (performance.now() < until) {
      process.kill(pid, 0);
      await sleep(pollMs);
    }
  } catch {
    // It is gone, or another user's, which libvirt then ends.
  }
}

/** The process of a domain, by libvirt's file, which may tell of one that ended long ago. */
async function qemuOf(name: string, folder = daemonFolder()): Promise<number | undefined> {
  const file = join(folder, "runtime", "libvirt", "qemu", "run", `${name}.pid`);
  const pid = Number(await readFile(file, "utf8").catch(() => ""));
  if (!Number.isInteger(pid) || pid <= 1) return undefined;
  const argv = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  return argv.split("\0").some((word) => word.startsWith(`guest=${name},`)) ? pid : undefined;
}
