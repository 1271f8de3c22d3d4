/**
 * How far back the history of a stack goes. Pulumi's backend of files keeps two copies of the state for
 * each update for ever, half a megabyte for an `up`.
 *
 * Names of the files: pkg/backend/diy in Pulumi's sources, `history/PROJECT/STACK/STACK-TIME.*` and
 * `backups/PROJECT/STACK/STACK.TIME.*`, the time in nanoseconds.
 */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { backendFolder } from "./engine.ts";
import { project, type Stack } from "./stack.ts";

/** Updates that `pulumi stack history` knows of. */
export const keptUpdates = 20;

/** Removes what is older than the last updates of the stack. Nothing else may run on it meanwhile. */
export async function pruneHistory({ where, name }: Pick<Stack, "where" | "name">): Promise<void> {
  for (const kind of ["history", "backups"]) {
    const folder = join(backendFolder(where), ".pulumi", kind, project, name);
    const times = new Map<string, bigint>();
    for (const file of await filesOf(folder)) {
      const time = file.startsWith(name) && /^[-.](\d+)\./.exec(file.slice(name.length))?.[1];
      if (time) times.set(file, BigInt(time));
    }
    const [oldestKept = 0n] = [...new Set(times.values())]
      .sort((a, b) => (a < b ? -1 : 1))
      .slice(-keptUpdates);
    for (const [file, time] of times)
      if (time < oldestKept) await rm(join(folder, file), { force: true });
  }
}

async function filesOf(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
