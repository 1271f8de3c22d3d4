/** The finished builds of a stack: opening one, forgetting old ones, logs of failed ones. */
import { copyFile, mkdir, readdir, readFile, rm, stat, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Manifest } from "../config/manifest.ts";
import type { Places } from "../config/places.ts";
import { isRunning } from "../hypervisor/processes.ts";
import { hashFile } from "../image/checksum.ts";
import { buildResultSchema, type BuildResult } from "./result.ts";
import { hashSources } from "./sources.ts";

const keptResults = 5;
const keptFailures = 5;

/** Where a stack's builds are: `<state>/builds/<stack>`. */
export function resultsFolder(stack: string, where: Places): string {
  return join(where.state, "builds", stack);
}

export const resultFile = (folder: string): string => join(folder, "result.json");

/**
 * The finished result in a folder, used just now; undefined when there is none, or when a file of it
 * no longer is what was built.
 */
export async function openResult(
  folder: string,
  manifest: Manifest,
): Promise<BuildResult | undefined> {
  try {
    const text = await readFile(resultFile(folder), "utf8");
    const result = buildResultSchema.parse(JSON.parse(text));
    // A state folder that was moved keeps its results, but not under the paths in them.
    if (result.folder !== join(folder, "tree")) return undefined;
    for (const { path, sha256 } of result.artefacts) {
      if ((await hashFile(join(result.folder, path))) !== sha256) return undefined;
    }
    if ((await hashSources(result.folder, manifest)) !== result.sourceHash) return undefined;
    const now = new Date();
    await utimes(folder, now, now);
    return result;
  } catch {
    // Absent, cut off, damaged: then it is built again.
    return undefined;
  }
}

/** Removes all but the last used results, and what killed builds left behind. */
export async function prune(results: string, current: string): Promise<void> {
  const finished: { folder: string; used: number }[] = [];
  for (const name of await readdir(results)) {
    const folder = join(results, name);
    const builder = /^\.building-(\d+)-/.exec(name)?.[1];
    if (builder !== undefined) {
      if (!(await isRunning(Number(builder)))) await rm(folder, { recursive: true, force: true });
    } else if (/^[0-9a-f]{16}$/.test(name) && folder !== current) {
      const status = await stat(folder).catch(() => undefined);
      if (status !== undefined) finished.push({ folder, used: status.mtimeMs });
    }
  }
  finished.sort((a, b) => b.used - a.used);
  for (const { folder } of finished.slice(keptResults - 1)) {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Keeps the log of a failed build as `failed-<time>.log` and removes old ones; gives its path. */
export async function keepFailedLog(work: string): Promise<string> {
  const results = dirname(work);
  await mkdir(results, { recursive: true });
  const time = new Date().toISOString().replace(/[-:]/g, "");
  const kept = join(results, `failed-${time}-${process.pid}.log`);
  await copyFile(join(work, "build.log"), kept);
  const logs = (await readdir(results)).filter((name) => /^failed-.*\.log$/.test(name)).sort();
  for (const old of logs.slice(0, -keptFailures)) await rm(join(results, old), { force: true });
  return kept;
}
