/**
 * QEMU's monitor, asked through libvirt (`virsh qemu-monitor-command`), in QMP.
 * Commands: QEMU's QMP reference manual.
 */
import { ExitCode, LabError } from "../config/errors.ts";
import { virsh, virshEach } from "./virsh.ts";

/** A command of the monitor, and what it is given. */
export type MonitorCommand = readonly [name: string, args?: Readonly<Record<string, unknown>>];

/**
 * Executes a monitor command of a running domain and gives what it returns.
 * @throws LabError (infrastructure failed) with QEMU's own words when it refuses
 */
export async function monitor(
  uri: string,
  domain: string,
  ...command: MonitorCommand
): Promise<unknown> {
  return answered(await virsh(uri, asked(domain, command)), domain, command[0]);
}

/**
 * Executes commands one after the other, whether or not QEMU refuses one before, and gives what each
 * returns.
 * @throws LabError (infrastructure failed) with QEMU's own words about the first that it refuses
 */
export async function monitorEach(
  uri: string,
  domain: string,
  commands: readonly MonitorCommand[],
): Promise<unknown[]> {
  const text = await virshEach(
    uri,
    commands.map((command) => asked(domain, command)),
  );
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return commands.map(([name], index) => answered(lines[index] ?? "", domain, name));
}

function asked(domain: string, [name, args = {}]: MonitorCommand): string[] {
  const request = JSON.stringify({ execute: name, arguments: args });
  return ["qemu-monitor-command", "--domain", domain, "--cmd", request];
}

function answered(text: string, domain: string, command: string): unknown {
  const answer = (text === "" ? { error: { desc: "it gave no answer" } } : JSON.parse(text)) as {
    return?: unknown;
    error?: { desc?: string };
  };
  if (answer.error === undefined) return answer.return;
  throw new LabError(
    `QEMU refused ${command} for ${domain}: ${answer.error.desc ?? text}`,
    ExitCode.infrastructureFailed,
  );
}
