/** The processes of this host, by proc(5). */
import { readdir } from "node:fs/promises";

/** The ids of all that run, each the name of its folder in /proc. */
export async function processIds(): Promise<string[]> {
  return (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
}
