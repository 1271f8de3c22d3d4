/** Questions to libvirt through virsh(1), each with a deadline. */
import { execa } from "execa";
import { ExitCode, LabError } from "../config/errors.ts";

const DEADLINE_MS = 20_000;

/**
 * Runs one virsh command and returns its standard output.
 * Throws LabError (infrastructure failed) with virsh's own message when it fails or takes over 20 s.
 */
export async function virsh(uri: string, args: readonly string[]): Promise<string> {
  const run = await execa("virsh", ["--quiet", "--connect", uri, ...args], {
    env: { LC_ALL: "C" },
    stdin: "ignore",
    timeout: DEADLINE_MS,
    reject: false,
  });
  if (run.exitCode === 0) return run.stdout;
  const why = run.timedOut ? `no answer within ${DEADLINE_MS / 1000} s` : run.stderr.trim();
  throw new LabError(
    `virsh ${args.join(" ")}: ${why || (run.shortMessage ?? "failed")}`,
    ExitCode.infrastructureFailed,
    `Does libvirt run? virsh -c '${uri}' list --all`,
  );
}

/**
 * Runs several commands by one virsh, which takes a fifth of the time of as many.
 * @returns their standard output, one after the other
 * @throws LabError as above when the last fails; what those before it wrote to stderr is in its message
 */
export function virshEach(uri: string, commands: readonly (readonly string[])[]): Promise<string> {
  const text = commands.map((words) => words.map(quoted).join(" ")).join("; ");
  return virsh(uri, [text]);
}

/** As virsh reads a line: as a shell does (virsh(1)). */
const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

/** The names of all domains that libvirt knows there, running or not. */
export async function domainNames(uri: string): Promise<string[]> {
  return names(await virsh(uri, ["list", "--all", "--name"]));
}

/** The names of all storage pools that libvirt knows there. */
export async function poolNames(uri: string): Promise<string[]> {
  return names(await virsh(uri, ["pool-list", "--all", "--name"]));
}

function names(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}
