import { setTimeout as sleep } from "node:timers/promises";
import { LabError } from "../config/errors.ts";
import { virsh } from "../hypervisor/virsh.ts";

const pollMs = 3_000;
/** Under load libvirt may miss an answer; a daemon that is gone misses them all. */
const mostFailures = 3;

/** libvirt's word for a domain's state: `running`, `shut off`, `crashed`, `paused` … */
export async function domainState(libvirtUri: string, domain: string): Promise<string> {
  return (await virsh(libvirtUri, ["domstate", domain])).trim();
}

/**
 * Resolves with a sentence when the domain does not run any more, and with undefined when the signal
 * aborts.
 */
export async function whenNotRunning(
  libvirtUri: string,
  domain: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  let failures = 0;
  while (!signal.aborted) {
    try {
      const state = await domainState(libvirtUri, domain);
      failures = 0;
      if (state !== "running" && state !== "in shutdown" && state !== "idle") {
        return `libvirt says that the domain ${domain} is ${state}`;
      }
    } catch (error) {
      failures++;
      if (!(error instanceof LabError)) throw error;
      if (failures === mostFailures || /failed to get domain/.test(error.message)) {
        return error.message;
      }
    }
    await sleep(pollMs, undefined, { signal }).catch(() => undefined);
  }
  return undefined;
}
