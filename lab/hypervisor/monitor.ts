/**
 * QEMU's monitor, asked through libvirt (`virsh qemu-monitor-command`), in QMP.
 * Commands: QEMU's QMP reference manual.
 */
import { ExitCode, LabError } from "../config/errors.ts";
import { virsh } from "./virsh.ts";

/**
 * Executes a monitor command of a running domain and gives what it returns.
 * @throws LabError (infrastructure failed) with QEMU's own words when it refuses
 */
export async function monitor(
  uri: string,
  domain: string,
  command: string,
  args: Readonly<Record<string, unknown>> = {},
): Promise<unknown> {
  const request = JSON.stringify({ execute: command, arguments: args });
  const text = await virsh(uri, ["qemu-monitor-command", "--domain", domain, "--cmd", request]);
  const answer = JSON.parse(text) as { return?: unknown; error?: { desc?: string } };
  if (answer.error === undefined) return answer.return;
  throw new LabError(
    `QEMU refused ${command} for ${domain}: ${answer.error.desc ?? text}`,
    ExitCode.infrastructureFailed,
  );
}
