/** Why QEMU has stopped a guest's processors, as it does when it can't write a disk of the guest. */
import { freeSpace } from "../config/diskSpace.ts";
import { virsh } from "../hypervisor/virsh.ts";

/**
 * A sentence about a domain that is paused; undefined when it isn't, or libvirt does not answer.
 * @param folder where its disks are
 */
export async function whyPaused(
  libvirtUri: string,
  domain: string,
  folder: string,
): Promise<string | undefined> {
  try {
    const state = (await virsh(libvirtUri, ["domstate", "--reason", domain])).trim();
    const reason = /^paused \((.*)\)$/.exec(state)?.[1];
    if (reason === undefined) return undefined;
    const paused = `QEMU has paused the guest (${reason})`;
    if (reason !== "I/O error") return paused;
    const errors = (await virsh(libvirtUri, ["domblkerror", domain])).trim().split(/\s*\n\s*/);
    return `${paused}: ${errors.join(", ")}; ${folder} has ${await freeSpace(folder)} left`;
  } catch {
    return undefined;
  }
}
