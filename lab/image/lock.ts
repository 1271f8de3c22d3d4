/**
 * One builder a recipe: a lock of flock(1), held by a child process.
 *
 * The child is `cat`, whose input is a pipe from this process: however this process ends, the pipe
 * closes, the child ends and the kernel gives the lock to the next in line. Nothing is ever stale.
 */
import { readFile, truncate, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { execa } from "execa";
import { ExitCode, LabError } from "../config/errors.ts";

/** Who holds a lock, as the holder wrote it into the lock's file. */
export interface LockHolder {
  readonly pid: number;
  /** ISO 8601. */
  readonly since: string;
}

export interface Lock {
  release(): Promise<void>;
}

export interface LockOptions {
  /** How long to wait for another holder, in seconds. */
  readonly deadlineSeconds: number;
  /** Called once, when the lock is someone else's and waiting begins. */
  readonly onWait?: (holder: LockHolder | undefined) => void;
  readonly signal?: AbortSignal | undefined;
}

/** The deadline passed while another process held the lock. */
export class LockBusy extends LabError {}

async function readHolder(file: string): Promise<LockHolder | undefined> {
  try {
    const holder = JSON.parse(await readFile(file, "utf8")) as Partial<LockHolder>;
    if (typeof holder.pid !== "number" || typeof holder.since !== "string") return undefined;
    return { pid: holder.pid, since: holder.since };
  } catch {
    return undefined;
  }
}

// flock's own exit code 1 also means other failures.
const heldByAnother = 75;

async function attempt(
  file: string,
  waiting: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Lock | "held"> {
  const child = execa("flock", [...waiting, `--conflict-exit-code=${heldByAnother}`, file, "cat"], {
    buffer: false,
    reject: false,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  });
  // cat echoes only once flock has the lock.
  child.stdin.on("error", () => undefined);
  child.stdin.write("\n");
  const result = await Promise.race([once(child.stdout, "data").then(() => "locked"), child]);
  if (typeof result !== "string") {
    if (result.exitCode === heldByAnother) return "held";
    if (result.isCanceled) throw new LabError("cancelled", ExitCode.cancelled);
    throw new LabError(
      `cannot lock ${file}: ${result.message ?? ""}`,
      ExitCode.infrastructureFailed,
    );
  }
  return {
    release: async () => {
      child.stdin.end();
      await child;
    },
  };
}

/**
 * Takes the lock of a file, which is created when absent, and waits for another holder if need be.
 *
 * @throws LabError with exit code 5 when the deadline passes, naming the holder
 */
export async function takeLock(file: string, options: LockOptions): Promise<Lock> {
  let lock = await attempt(file, ["--nonblock"], options.signal);
  if (lock === "held") {
    options.onWait?.(await readHolder(file));
    lock = await attempt(file, [`--timeout=${options.deadlineSeconds}`], options.signal);
  }
  if (lock === "held") {
    const holder = await readHolder(file);
    throw new LockBusy(
      `waited ${options.deadlineSeconds} s for ${holder ? `process ${holder.pid}, which has worked since ${holder.since}` : "another process"} (lock ${file})`,
      ExitCode.hung,
      "Look at what that process is doing, or end it, and try again.",
    );
  }
  const held = lock;
  // In place: a renamed file would be another inode, with another lock.
  const holder: LockHolder = { pid: process.pid, since: new Date().toISOString() };
  await writeFile(file, JSON.stringify(holder));
  return {
    release: async () => {
      await truncate(file, 0).catch(() => undefined);
      await held.release();
    },
  };
}
