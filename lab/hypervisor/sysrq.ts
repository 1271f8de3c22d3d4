/**
 * The magic SysRq key (Documentation/admin-guide/sysrq.rst) on the guest's keyboard: the kernel hears
 * it when no program of the guest runs any more. Needs kernel.sysrq=1 in the guest.
 */
import { monitor } from "./monitor.ts";

/** Presses Alt, SysRq and a letter. @throws LabError when QEMU does not take it */
export async function pressSysrq(uri: string, domain: string, letter: string): Promise<void> {
  const keys = ["alt", "sysrq", letter].map((data) => ({ type: "qcode", data }));
  await monitor(uri, domain, "send-key", { keys });
}
