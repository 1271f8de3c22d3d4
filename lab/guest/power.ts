import { setTimeout as sleep } from "node:timers/promises";
import { namingHolder } from "../hypervisor/portHolder.ts";
import { virsh } from "../hypervisor/virsh.ts";
import { domainState } from "./domainWatch.ts";

const pollMs = 500;
/** ACPI requests that a booting guest does not hear yet are repeated. */
const askAgainMs = 10_000;

/**
 * Starts a domain that is shut off; says whether it had to.
 * @throws LabError, which names the holder of a port that is taken
 */
export async function startDomain(libvirtUri: string, domain: string): Promise<boolean> {
  if ((await domainState(libvirtUri, domain)) === "running") return false;
  try {
    await virsh(libvirtUri, ["start", domain]);
  } catch (error) {
    throw await namingHolder(error);
  }
  return true;
}

/** Presses the domain's reset button: the guest boots anew at once, its disks as they are. */
export async function resetDomain(libvirtUri: string, domain: string): Promise<void> {
  await virsh(libvirtUri, ["reset", domain]);
}

/**
 * Asks the guest to shut down (ACPI), and takes its power away when it has not after the deadline.
 * @returns how it went; `already` when it was not running.
 */
export async function stopDomain(
  libvirtUri: string,
  domain: string,
  deadlineMs: number,
): Promise<"already" | "shutdown" | "destroyed"> {
  const isOff = async (): Promise<boolean> =>
    (await domainState(libvirtUri, domain)) === "shut off";
  if (await isOff()) return "already";
  const began = performance.now();
  let asked = -askAgainMs;
  while (performance.now() - began < deadlineMs) {
    if (performance.now() - asked >= askAgainMs) {
      asked = performance.now();
      // Refused when the domain is crashed or has gone meanwhile; the loop and destroy decide then.
      await virsh(libvirtUri, ["shutdown", domain, "--mode", "acpi"]).catch(() => undefined);
    }
    if (await isOff()) return "shutdown";
    await sleep(pollMs);
  }
  try {
    await virsh(libvirtUri, ["destroy", domain]);
  } catch (error) {
    if (!(await isOff())) throw error;
  }
  return "destroyed";
}
