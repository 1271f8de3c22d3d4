/** The processes of this host, by proc(5). */
import { readdir, readFile } from "node:fs/promises";

/** The ids of all that run, each the name of its folder in /proc. */
export async function processIds(): Promise<string[]> {
  return (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
}

/** Whether a process runs: one that has ended and that nobody has collected yet (state Z) does not. */
export async function isRunning(pid: number): Promise<boolean> {
  const [state] = await statFields(pid);
  return state !== undefined && state !== "Z";
}

/** The number of the process that leads the session of a process, or did. */
export async function sessionOf(pid: number): Promise<number | undefined> {
  const [, , , session] = await statFields(pid);
  return session === undefined ? undefined : Number(session);
}

/** The fields of /proc/PID/stat from the state on; none when there is no such process. */
async function statFields(pid: number): Promise<string[]> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The name before may hold blanks and parentheses.
  const rest = stat.slice(stat.lastIndexOf(")") + 1).trim();
  return rest === "" ? [] : rest.split(" ");
}
