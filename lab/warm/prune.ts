/**
 * Frees warm images that no stack's disks lie over, by hand (`vexlab warm prune`) and by a bound on
 * what all of them take (VEXLAB_WARM_MAX). Of what is removed, the lock file and an empty folder of
 * users stay: others may be about to take them.
 */
import { existsSync } from "node:fs";
import { readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { ExitCode, LabError } from "../config/errors.ts";
import { parseSize, sizeForm } from "../config/quantity.ts";
import { isRunning } from "../hypervisor/processes.ts";
import { LockBusy, takeLock } from "../image/lock.ts";
import type { Progress } from "../report/progress.ts";
import {
  buildingPrefix,
  readWarmManifest,
  warmFolder,
  warmImageUsers,
  warmKeys,
} from "./warmImage.ts";

export interface WarmImageUse {
  readonly key: string;
  /** Empty when it is damaged: it will never be opened again. */
  readonly imageId: string;
  readonly kernelRelease: string;
  /** On the disk: files are sparse. */
  readonly bytes: number;
  /** ISO 8601. */
  readonly lastUsed: string;
  /** Folders of stacks. */
  readonly usedBy: readonly string[];
  /** It is damaged, or the image below it has gone. */
  readonly useless: boolean;
}

export interface WarmPruneResult {
  readonly removed: readonly string[];
  readonly kept: readonly { readonly key: string; readonly usedBy: readonly string[] }[];
}

export interface WarmPruneOptions {
  /**
   * Which of those that no stack uses: `useless` those that can't be opened any more; `old`, the
   * default, also those that were not used for a day; `all` every one.
   */
  readonly which?: "useless" | "old" | "all" | undefined;
  readonly cache?: string | undefined;
}

const oldMs = 24 * 3600 * 1000;
const limitVariable = "VEXLAB_WARM_MAX";
const defaultLimit = "10G";

/** How many bytes all warm images may take. @throws LabError (exit 2) when the variable is no size */
export function warmLimit(environment: NodeJS.ProcessEnv = process.env): number {
  const text = environment[limitVariable] || defaultLimit;
  const mib = parseSize(text);
  if (mib !== undefined) return mib * 2 ** 20;
  throw new LabError(
    `${limitVariable} = ${text}: not a size; allowed: ${sizeForm}`,
    ExitCode.usage,
    `Set it to a size, or unset it for ${defaultLimit}.`,
  );
}

/** The warm images in the cache, least recently used first. */
export async function listWarmImages(cache?: string): Promise<WarmImageUse[]> {
  const images: WarmImageUse[] = [];
  for (const key of await warmKeys(cache)) {
    const folder = join(warmFolder(cache), key);
    const status = await stat(folder).catch(() => undefined);
    if (status === undefined) continue;
    const manifest = await readWarmManifest(key, cache).catch(() => undefined);
    images.push({
      key,
      imageId: manifest?.imageId ?? "",
      kernelRelease: manifest?.kernelRelease ?? "",
      bytes: await bytesOf(folder),
      lastUsed: status.mtime.toISOString(),
      usedBy: await warmImageUsers(key, cache),
      useless: manifest === undefined || !existsSync(manifest.imageDisk),
    });
  }
  return images.sort((a, b) => a.lastUsed.localeCompare(b.lastUsed));
}

/** The stacks that use warm images which lie over an image. */
export async function warmUsersOfImage(id: string, cache?: string): Promise<string[]> {
  const images = await listWarmImages(cache);
  return images.filter(({ imageId }) => imageId === id).flatMap(({ usedBy }) => usedBy);
}

/** Removes warm images that no stack uses, and what killed runs left. */
export async function pruneWarmImages(
  progress: Progress,
  { which = "old", cache }: WarmPruneOptions = {},
): Promise<WarmPruneResult> {
  await removeLeftovers(cache);
  const removed: string[] = [];
  const kept: { key: string; usedBy: readonly string[] }[] = [];
  for (const { key, usedBy, useless, lastUsed } of await listWarmImages(cache)) {
    const old = Date.now() - Date.parse(lastUsed) > oldMs;
    const wanted = useless || which === "all" || (which === "old" && old);
    if (wanted && usedBy.length === 0 && (await removeUnused(key, progress, cache)))
      removed.push(key);
    else kept.push({ key, usedBy });
  }
  return { removed, kept };
}

/**
 * Removes warm images that no stack uses, least recently used first, until all take no more than so
 * much. What can't be removed stays and is told: the one that was just made is good all the same.
 * @param options.keep the key of the one that was just made
 * @returns the keys of those removed
 */
export async function evictWarmImages(
  maxBytes: number,
  progress: Progress,
  { keep, cache }: { readonly keep?: string; readonly cache?: string } = {},
): Promise<string[]> {
  const removed: string[] = [];
  try {
    const images = await listWarmImages(cache);
    let total = images.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { key, usedBy, bytes } of images) {
      if (total <= maxBytes) break;
      if (key === keep || usedBy.length > 0) continue;
      if (!(await removeUnused(key, progress, cache))) continue;
      total -= bytes;
      removed.push(key);
      progress.line(`warm image ${key} removed: all take more than ${limitVariable} allows`);
    }
  } catch (error) {
    progress.line(`warm images can't be removed: ${(error as Error).message}`);
  }
  return removed;
}

/** Removes what runs that were killed left behind. */
export async function removeLeftovers(cache?: string): Promise<void> {
  const parent = warmFolder(cache);
  for (const name of await readdir(parent).catch(() => [])) {
    const pid = /^\.building-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !(await isRunning(Number(pid))))
      await rm(join(parent, name), { recursive: true, force: true });
  }
}

/** @returns false when somebody makes, opens or uses it */
async function removeUnused(key: string, progress: Progress, cache?: string): Promise<boolean> {
  const parent = warmFolder(cache);
  const lock = await takeLock(join(parent, `${key}.lock`), { deadlineSeconds: 0 }).catch(
    (error: unknown) => {
      if (!(error instanceof LockBusy)) throw error;
      progress.line(`warm image ${key} is being made; it is left alone`);
      return undefined;
    },
  );
  if (lock === undefined) return false;
  try {
    const unused = async (): Promise<boolean> => (await warmImageUsers(key, cache)).length === 0;
    if (!(await unused())) return false;
    // Gone under its own name at once: a half of it never looks whole.
    const doomed = join(parent, `${buildingPrefix}${process.pid}-pruned-${key}`);
    await rename(join(parent, key), doomed);
    // Whoever uses it says so before opening it: what was said meanwhile may have come in time.
    if (!(await unused())) {
      await rename(doomed, join(parent, key));
      return false;
    }
    await rm(doomed, { recursive: true, force: true });
    return true;
  } finally {
    await lock.release();
  }
}

/** What the files of a folder take on the disk. */
async function bytesOf(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder)) {
    // In units of 512 bytes; see stat(2).
    const status = await stat(join(folder, name)).catch(() => undefined);
    bytes += (status?.blocks ?? 0) * 512;
  }
  return bytes;
}
