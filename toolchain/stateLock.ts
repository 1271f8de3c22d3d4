/**
 * Pulumi's own lock on a stack in a folder of state: a JSON file for each process, under
 * `.pulumi/locks/organization/<project>/<stack>/`, which stays behind when that process is killed.
 * Format: `lockContent` in pkg/backend/diy/lock.go of pulumi.
 */
import { readdir, readFile, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import * as z from "zod";
import { isRunning } from "../lab/hypervisor/processes.ts";

const lockContent = z.object({
  pid: z.number(),
  username: z.string(),
  hostname: z.string(),
  timestamp: z.string(),
});

export interface StateLock extends z.infer<typeof lockContent> {
  readonly file: string;
  /** A process of this host that is no more. Of other hosts nothing is known. */
  readonly dead: boolean;
}

/** The name of a process (`comm`); undefined when no such process runs. */
async function processName(pid: number): Promise<string | undefined> {
  if (!(await isRunning(pid))) return undefined;
  return readFile(`/proc/${pid}/comm`, "utf8").then(
    (name) => name.trim(),
    () => undefined,
  );
}

/** The locks on a stack. */
export async function locksOf(
  backend: string,
  project: string,
  stack: string,
  nameOfProcess: (pid: number) => Promise<string | undefined> = processName,
): Promise<StateLock[]> {
  const folder = join(backend, ".pulumi", "locks", "organization", project, stack);
  const files = await readdir(folder).catch(() => []);
  const locks: StateLock[] = [];
  for (const name of files.filter((file) => file.endsWith(".json"))) {
    const file = join(folder, name);
    const text = await readFile(file, "utf8").catch(() => undefined);
    if (text === undefined) continue;
    let parsed: z.infer<typeof lockContent>;
    try {
      parsed = lockContent.parse(JSON.parse(text));
    } catch {
      // Cut short by a crash while it was written: its writer never got the lock.
      locks.push({ file, pid: 0, username: "", hostname: "", timestamp: "", dead: true });
      continue;
    }
    // After a restart of the host the number may be another program's.
    const alive = (await nameOfProcess(parsed.pid))?.startsWith("pulumi") ?? false;
    locks.push({ ...parsed, file, dead: parsed.hostname === hostname() && !alive });
  }
  return locks;
}

/** Removes locks. */
export async function removeLocks(locks: readonly StateLock[]): Promise<void> {
  for (const lock of locks) await rm(lock.file, { force: true });
}
