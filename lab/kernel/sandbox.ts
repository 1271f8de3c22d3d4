/**
 * Runs the tools of an image on a kernel tree: its root file system by bubblewrap, without network,
 * with nothing of the host's but the folders that are named.
 */
import { createWriteStream, type WriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { execa } from "execa";
import { buildEnvironment, buildHome } from "../build/steps.ts";
import { ExitCode, LabError } from "../config/errors.ts";
import { formatDuration } from "../config/quantity.ts";
import { kernelSources } from "./kernelRecipe.ts";

/** Where the folders are inside. */
export const inside = {
  work: "/mnt/work",
  source: "/mnt/source",
  build: "/mnt/build",
  vexlab: "/mnt/vexlab",
} as const;

export interface Sandbox {
  readonly sysroot: string;
  /** Writable, as `inside.work`. */
  readonly work: string;
  /** Read-only, by their paths inside. */
  readonly readOnly?: Readonly<Record<string, string>>;
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly onLine?: (line: string) => void;
  /** Takes all output. */
  readonly log?: string;
}

/** How many of the last lines a failure tells. */
const toldLines = 15;

/** bubblewrap's arguments (bwrap(1)). */
export function kernelSandboxArguments(box: Sandbox, argv: readonly string[]): string[] {
  const readOnly = { [inside.vexlab]: kernelSources, ...box.readOnly };
  return [
    ...["--ro-bind", box.sysroot, "/", "--dev", "/dev", "--proc", "/proc"],
    ...["--tmpfs", "/tmp", "--dir", buildHome, "--tmpfs", "/mnt", "--bind", box.work, inside.work],
    ...Object.entries(readOnly).flatMap(([path, folder]) => ["--ro-bind", folder, path]),
    ...["--unshare-all", "--hostname", "vexlab-build", "--new-session", "--die-with-parent"],
    "--clearenv",
    ...Object.entries({
      ...buildEnvironment,
      // The same sources give the same kernel, wherever and whenever it is built.
      KBUILD_BUILD_USER: "vexlab",
      KBUILD_BUILD_HOST: "vexlab",
      KBUILD_BUILD_TIMESTAMP: "1970-01-01",
    }).flatMap(([name, value]) => ["--setenv", name, value]),
    ...["--chdir", inside.work, "--", ...argv],
  ];
}

/**
 * Runs a command to its end.
 * @param what it does, for messages
 * @throws LabError: exit code 130 when cancelled, 5 after the deadline, 3 when it fails
 */
export async function runInSandbox(
  what: string,
  box: Sandbox,
  argv: readonly string[],
): Promise<void> {
  const deadline = AbortSignal.timeout(box.deadlineMs);
  const stop = box.signal === undefined ? deadline : AbortSignal.any([deadline, box.signal]);
  const log = box.log === undefined ? undefined : createWriteStream(box.log, { flags: "a" });
  const lines: string[] = [];
  const errors: string[] = [];
  const child = execa("bwrap", kernelSandboxArguments(box, argv), {
    ...{ stdin: "ignore", all: true, buffer: false, reject: false },
    // Every process in it dies with bubblewrap.
    ...{ cancelSignal: stop, killSignal: "SIGKILL" },
  });
  for await (const line of createInterface({ input: child.all })) {
    log?.write(`${line}\n`);
    if (/\berror:|^make(?:\[\d+\])?: \*\*\*/i.test(line) && errors.length < toldLines)
      errors.push(line);
    lines.push(line);
    if (lines.length > toldLines) lines.shift();
    box.onLine?.(line);
  }
  const { exitCode, signal, shortMessage } = await child;
  await closed(log);
  if (box.signal?.aborted === true) throw new LabError("cancelled", ExitCode.cancelled);
  if (deadline.aborted)
    throw new LabError(
      `${what} did not end within ${formatDuration(box.deadlineMs)} and was stopped`,
      ExitCode.hung,
    );
  if (exitCode === 0) return;
  const told = errors.length > 0 ? errors : lines;
  const how = signal ?? (exitCode === undefined ? shortMessage : `exit code ${exitCode}`) ?? "";
  throw new LabError(
    `${what} ended with ${how}:\n  ${told.join("\n  ")}`,
    ExitCode.infrastructureFailed,
    box.log === undefined ? undefined : `All that it said is in ${box.log}`,
  );
}

function closed(log: WriteStream | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (log === undefined) resolve();
    else log.end(() => resolve());
  });
}
