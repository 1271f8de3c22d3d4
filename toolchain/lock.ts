/**
 * A lock between processes, held by a flock(1) child: the kernel lets go of it when the child ends,
 * and the child ends when its standard input closes, which happens however this process dies.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { spawn, type ChildProcess } from "node:child_process";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ExitCode, LabError } from "../lab/config/errors.ts";

export interface HeldLock {
  /** Lets go; resolves when the lock is free for others. */
  release(): Promise<void>;
}

/** flock(1)'s exit status when --nonblock or --timeout ends without the lock. */
const busy = 75;
const holderMs = 2_000;

function attempt(file: string, wait: readonly string[]): Promise<HeldLock | undefined> {
  return new Promise((resolve, reject) => {
    // Its own process group: Ctrl-C on the terminal must not drop the lock before we have ended.
    const child: ChildProcess = spawn(
      "flock",
      ["--exclusive", ...wait, "--conflict-exit-code", String(busy), file, "sh", "-c", "echo; cat"],
      { stdio: ["pipe", "pipe", "ignore"], detached: true },
    );
    const ended = new Promise<void>((done) => child.once("close", () => done()));
    child.stdin?.on("error", () => undefined);
    child.once("error", (cause) =>
      reject(
        new LabError(
          `flock, which keeps two runs apart, can't be run: ${cause.message}`,
          ExitCode.infrastructureFailed,
          "Install util-linux.",
          { cause },
        ),
      ),
    );
    child.stdout?.once("data", () => {
      child.unref();
      if (child.stdin && "unref" in child.stdin) (child.stdin as { unref(): void }).unref();
      if (child.stdout && "unref" in child.stdout) (child.stdout as { unref(): void }).unref();
      resolve({
        release: async () => {
          child.ref();
          child.stdin?.end();
          await ended;
        },
      });
    });
    child.once("close", (code) => {
      if (code === busy) resolve(undefined);
      else {
        reject(
          new LabError(
            `${file} can't be locked: flock ended with ${code ?? "a signal"}`,
            ExitCode.infrastructureFailed,
          ),
        );
      }
    });
  });
}

/** The process that holds the lock, as it wrote it down; undefined when it hasn't yet. */
export async function holderOf(file: string): Promise<number | undefined> {
  const text = await readFile(file, "utf8").catch(() => "");
  const pid = Number.parseInt(text, 10);
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}

/** The same, for a lock that is held: who has just taken it is about to write that down. */
async function holderSoon(file: string): Promise<number | undefined> {
  const until = performance.now() + holderMs;
  for (;;) {
    const holder = await holderOf(file);
    if (holder !== undefined || performance.now() > until) return holder;
    await sleep(20);
  }
}

/** Takes the lock if nobody has it; undefined otherwise. The file then holds our process id. */
export async function tryLock(file: string): Promise<HeldLock | undefined> {
  await mkdir(dirname(file), { recursive: true });
  const lock = await attempt(file, ["--nonblock"]);
  if (lock) await writeFile(file, `${process.pid}\n`);
  return lock;
}

/**
 * Takes the lock, waiting for at most `deadlineSeconds`; `waiting` is called once, with the holder,
 * when there is something to wait for.
 *
 * @throws LabError (exit 3) when the deadline passes.
 */
export async function takeLock(
  file: string,
  deadlineSeconds: number,
  waiting: (holder: number | undefined) => void,
): Promise<HeldLock> {
  const free = await tryLock(file);
  if (free) return free;
  waiting(await holderSoon(file));
  const lock = await attempt(file, ["--timeout", String(deadlineSeconds)]);
  if (!lock) {
    const holder = await holderOf(file);
    throw new LabError(
      `${file} is still locked after ${deadlineSeconds} s by process ${holder ?? "unknown"}`,
      ExitCode.infrastructureFailed,
      "See what that process is doing; end it if it is stuck, and try again.",
    );
  }
  await writeFile(file, `${process.pid}\n`);
  return lock;
}
