/**
 * Frees the cache of images: what no stack uses, and what killed builds left.
 */
import { readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { isRecipeName, recipeSlug } from "../config/recipes.ts";
import type { Progress } from "../report/progress.ts";
import {
  buildingPrefix,
  downloadsFolder,
  imageFolder,
  imageIds,
  imagesFolder,
  makeCache,
  pointers,
  readManifest,
  recipeLock,
  recipesFolder,
  unfinishedBuilds,
  type Manifest,
} from "./cache.ts";
import { imageHolders } from "./holders.ts";
import { LockBusy, takeLock, type Lock } from "./lock.ts";
import { removeFolders } from "./namespace.ts";
import { hashRecipe, recipe } from "./recipe.ts";

export interface PruneResult {
  readonly removed: readonly string[];
  /** Images that stay, and who uses them. */
  readonly kept: readonly { readonly id: string; readonly usedBy: readonly string[] }[];
}

export interface PruneOptions {
  /** Remove the images that the recipes of today point to as well. */
  readonly all?: boolean | undefined;
  readonly cache?: string | undefined;
  /** Whether an image that no recipe makes is what the next `up` would make again. */
  readonly isCurrent?: ((manifest: Manifest) => Promise<boolean>) | undefined;
  /** Who needs an image besides its holders: users of what lies over it. */
  readonly alsoUsedBy?: ((id: string) => Promise<readonly string[]>) | undefined;
}

/** The slug of the recipe of an image id or of an unfinished build's folder name. */
function recipeOfFolder(name: string): string {
  const unfinished = /^\.building-(.+)\.[^.]+$/.exec(name)?.[1];
  return unfinished ?? name.replace(/-[0-9a-f]{12}$/, "");
}

/**
 * Removes images that nobody uses. Without `all` those stay that the recipes of this version have
 * made, because the next `up` wants them. A recipe that is being built at the moment is left alone.
 */
export async function pruneImages(
  progress: Progress,
  options: PruneOptions = {},
): Promise<PruneResult> {
  const { cache } = options;
  await makeCache(cache);
  const pointed = await pointers(cache);
  const current = async (manifest: Manifest | undefined): Promise<boolean> => {
    if (options.all === true || manifest === undefined) return false;
    if (pointed.get(manifest.recipeHash) === manifest.id && (await options.isCurrent?.(manifest)))
      return true;
    if (!isRecipeName(manifest.recipe)) return false;
    return pointed.get(await hashRecipe(recipe(manifest.recipe))) === manifest.id;
  };
  const removed: string[] = [];
  const kept: { id: string; usedBy: string[] }[] = [];
  const locks = new Map<string, Lock | "busy">();

  const locked = async (madeBy: string): Promise<boolean> => {
    const name = recipeSlug(madeBy);
    let lock = locks.get(name);
    if (lock === undefined) {
      try {
        lock = await takeLock(recipeLock(name, cache), { deadlineSeconds: 0 });
      } catch (error) {
        if (!(error instanceof LockBusy)) throw error;
        progress.line(`recipe ${name} is being built; its folders are left alone`);
        lock = "busy";
      }
      locks.set(name, lock);
    }
    return lock !== "busy";
  };

  try {
    for (const folder of await unfinishedBuilds(undefined, cache)) {
      const name = folder.slice(imagesFolder(cache).length + 1);
      if (!(await locked(recipeOfFolder(name)))) continue;
      await removeFolders([folder]);
      removed.push(name);
    }
    for (const id of await imageIds(cache)) {
      const holders = (await imageHolders(id, cache)).map(({ holder }) => holder);
      const usedBy = [...holders, ...((await options.alsoUsedBy?.(id)) ?? [])];
      const manifest = await readManifest(id, cache).catch(() => undefined);
      const madeBy = manifest?.recipe ?? recipeOfFolder(id);
      if (usedBy.length > 0 || (await current(manifest)) || !(await locked(madeBy))) {
        kept.push({ id, usedBy });
        continue;
      }
      // Gone under its own name at once: a prune that is killed leaves no half of an image.
      const doomed = join(imagesFolder(cache), `${buildingPrefix(madeBy)}pruned-${process.pid}`);
      await rename(imageFolder(id, cache), doomed);
      await removeFolders([doomed]);
      await rm(`${imageFolder(id, cache)}.users`, { recursive: true, force: true });
      for (const [hash, target] of pointed)
        if (target === id) await rm(join(recipesFolder(cache), `${hash}.json`), { force: true });
      removed.push(id);
    }
    for (const name of await readdir(downloadsFolder(cache)).catch(() => [])) {
      if (!(await locked(name))) continue;
      await rm(join(downloadsFolder(cache), name), { recursive: true, force: true });
    }
    await removeOrphanedHolders(cache);
  } finally {
    for (const lock of locks.values()) if (lock !== "busy") await lock.release();
  }
  return { removed, kept };
}

/** Notes of users of images that are not there any more. */
async function removeOrphanedHolders(cache: string | undefined): Promise<void> {
  const ids = new Set(await imageIds(cache));
  for (const name of await readdir(imagesFolder(cache)))
    if (name.endsWith(".users") && !ids.has(name.slice(0, -".users".length)))
      await rm(join(imagesFolder(cache), name), { recursive: true, force: true });
}
