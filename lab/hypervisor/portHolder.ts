/**
 * Who holds a TCP port of this host: QEMU's own message for a taken port names nobody.
 */
import { readFile } from "node:fs/promises";
import { execa } from "execa";
import { ExitCode, LabError, type Fault } from "../config/errors.ts";

export interface PortHolder {
  readonly pid: number;
  /** The process's command line, words joined by blanks. */
  readonly commandLine: string;
}

const DEADLINE_MS = 5_000;

/** The process ids in one line of `ss --processes`, such as `users:(("qemu",pid=12,fd=3))`. */
export function holderPids(ssOutput: string): number[] {
  return [...ssOutput.matchAll(/\bpid=(\d+)/g)].map((match) => Number(match[1]));
}

/**
 * The process that listens on a port of 127.0.0.1 or of every address; undefined when none does.
 * A holder of another user has pid 0: ss(8) shows processes only to their owner and to root.
 */
export async function portHolder(port: number): Promise<PortHolder | undefined> {
  const argv = ["-H", "--listening", "--tcp", "--numeric", "--processes"];
  const { stdout } = await execa("ss", [...argv, `sport = :${port}`], {
    stdin: "ignore",
    timeout: DEADLINE_MS,
  });
  const lines = stdout.split("\n").filter((line) => line.trim() !== "");
  if (lines.length === 0) return undefined;
  const pid = holderPids(stdout)[0];
  if (pid === undefined) return { pid: 0, commandLine: "a process of another user" };
  return { pid, commandLine: await commandLineOf(pid) };
}

/**
 * The fault of a configured port that something else than the stack's own guest listens on;
 * undefined when the port is free or the guest's.
 * @param owner a folder that only the stack's own guest has on its command line: two checkouts may
 * have domains of one name.
 */
export async function portFault(
  key: string,
  port: number,
  domain: string,
  owner: string,
): Promise<Fault | undefined> {
  const holder = await portHolder(port);
  if (holder === undefined) return undefined;
  // QEMU's name option, as libvirt writes it: -name guest=DOMAIN,debug-threads=on
  const marks = [`guest=${domain},`, owner];
  if (marks.every((mark) => holder.commandLine.includes(mark))) return undefined;
  return {
    key,
    value: String(port),
    problem: `the port is taken by ${nameOf(holder)}`,
    allowed: "a free port of this host",
  };
}

/**
 * The error of a domain that could not be started, with the holder of the port that QEMU could not get;
 * any other error as it is.
 */
export async function namingHolder(error: unknown): Promise<unknown> {
  if (!(error instanceof LabError)) return error;
  // net/slirp.c of QEMU
  const rule = /[Cc]ould not set up host forwarding rule '\w+:[^']*?:(\d+)-/.exec(error.message);
  if (rule?.[1] === undefined) return error;
  const port = Number(rule[1]);
  const holder = await portHolder(port);
  const who = holder === undefined ? "something that has let go of it by now" : nameOf(holder);
  return new LabError(
    `the guest can't be started: port ${port} is taken by ${who}`,
    ExitCode.infrastructureFailed,
    "End that process, or choose another port (vexlab:sshPort).",
    { cause: error },
  );
}

function nameOf({ pid, commandLine }: PortHolder): string {
  return pid === 0 ? commandLine : `process ${pid} (${shorten(commandLine)})`;
}

async function commandLineOf(pid: number): Promise<string> {
  try {
    return (await readFile(`/proc/${pid}/cmdline`, "utf8")).replaceAll("\0", " ").trim();
  } catch {
    return "a process that has just ended";
  }
}

function shorten(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 99)}…`;
}
