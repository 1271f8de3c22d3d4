/** The processes of this host, by proc(5). */
import { readdir, readFile } from "node:fs/promises";

/** The ids of all that run, each the name of its folder in /proc. */
export async function processIds(): Promise<string[]> {
  return (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
}

/** Whether a process runs: one that has ended and that nobody has collected yet (state Z) does not. */
export async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  // The name may hold blanks and parentheses.
  return stat !== undefined && !stat.slice(stat.lastIndexOf(")")).startsWith(") Z ");
}
