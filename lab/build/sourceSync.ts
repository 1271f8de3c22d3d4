/**
 * Bringing the sources in a build tree up to date, so that make and cargo, which go by times, build
 * what has changed and nothing else.
 */
import { lstat, readdir, readlink, realpath, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path/posix";
import { setTimeout } from "node:timers/promises";
import { hashFile } from "../image/checksum.ts";
import { copySource } from "./copy.ts";
import type { Source } from "./sources.ts";

/** Names and links of sources, without what is in the files. */
export type Layout = readonly { readonly path: string; readonly target?: string | undefined }[];

/**
 * The part of the sources whose change make cannot see. A dependency file lists what was read, not
 * what would have been read instead had it been there: a new header can shadow another, an object
 * whose source is gone still looks up to date, and a link's time is not its target's.
 */
export function layoutOf(sources: readonly Source[]): Layout {
  return sources.map(({ path, target }) => (target === undefined ? { path } : { path, target }));
}

// The kernel stamps files with the time of its last tick, up to 10 ms ago (CONFIG_HZ=100).
const tickMs = 20;

/**
 * Writes the sources that differ from those in the tree, later than anything that is there.
 *
 * What counts is the tree's file, not what was written there once: a command of the build may have
 * changed it, and a clean build would begin with the original.
 *
 * @param copy the sources to build, laid out as the tree's are.
 * @returns the paths that were written, or undefined when the tree cannot be brought up to date:
 * its newest file is of the future, or a folder of it was replaced. Then it has to be made anew.
 */
export async function syncSources(
  copy: string,
  tree: string,
  sources: readonly Source[],
): Promise<string[] | undefined> {
  const now = Date.now();
  const newest = await newestFile(tree);
  // The clock was set back, or a command dates files as it likes.
  if (newest > now + tickMs) return undefined;
  const root = await realpath(tree);
  for (const folder of new Set(sources.map(({ path }) => dirname(path)))) {
    // A command may have put a link in the place of a folder: we would write through it.
    const real = await realpath(join(tree, folder)).catch(() => undefined);
    if (real !== undefined && real !== join(root, folder)) return undefined;
  }
  const changed: Source[] = [];
  for (const source of sources) {
    if (!(await isSame(join(copy, source.path), join(tree, source.path), source))) {
      changed.push(source);
    }
  }
  if (changed.length > 0) await setTimeout(Math.max(0, newest + tickMs - Date.now()));
  for (const source of changed) {
    // A new file, for an output may be a hard link of the old one.
    await rm(join(tree, source.path), { recursive: true, force: true });
    await copySource(copy, tree, source);
  }
  return changed.map(({ path }) => path);
}

/**
 * Removes files of a tree, so that one that is there afterwards was made after this.
 * @returns whether it could be done: false when a path leads out of the tree.
 */
export async function removeOutputs(tree: string, paths: readonly string[]): Promise<boolean> {
  const root = await realpath(tree);
  for (const path of paths) {
    const folder = await realpath(join(tree, dirname(path))).catch(() => undefined);
    if (folder === undefined) continue;
    if (folder !== root && !folder.startsWith(`${root}/`)) return false;
    await rm(join(tree, path), { recursive: true, force: true });
  }
  return true;
}

async function isSame(
  copy: string,
  file: string,
  { target, executable }: Source,
): Promise<boolean> {
  const status = await lstat(file).catch(() => undefined);
  if (status === undefined) return false;
  if (target !== undefined) return status.isSymbolicLink() && (await readlink(file)) === target;
  if (!status.isFile() || (status.mode & 0o777) !== (executable ? 0o755 : 0o644)) return false;
  const { size } = await stat(copy);
  return size === status.size && (await hashFile(copy)) === (await hashFile(file));
}

/** When the newest file of a folder was written, in milliseconds since the epoch; 0 for none. */
async function newestFile(folder: string): Promise<number> {
  let newest = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    newest = Math.max(newest, (await stat(join(entry.parentPath, entry.name))).mtimeMs);
  }
  return newest;
}
