/**
 * Frees the cache of custom kernels: those that no image is made with and no shipped configuration
 * makes any more, and what killed builds left.
 */
import { basename } from "node:path";
import { isRecipeName } from "../config/recipes.ts";
import { imageIds, readManifest, type Manifest } from "../image/cache.ts";
import { LockBusy, takeLock } from "../image/lock.ts";
import { removeFolders } from "../image/namespace.ts";
import type { Progress } from "../report/progress.ts";
import { hashDerived } from "./derivedImage.ts";
import {
  buildingPrefix,
  forgetKernel,
  kernelFolder,
  kernelIds,
  kernelLock,
  kernelLogs,
  kernelPointers,
  makeKernelsFolder,
  unfinishedKernels,
} from "./kernelCache.ts";

/** Whether an image with a custom kernel is what its configuration or tree would make today. */
export async function isCurrentDerived({ derived, recipeHash }: Manifest): Promise<boolean> {
  if (derived === undefined || !isRecipeName(derived.base)) return false;
  // A tree or a file of the user's may be gone.
  const today = await hashDerived(derived.base, derived.custom).catch(() => undefined);
  return today === recipeHash;
}

/**
 * Removes kernels that no image is made with. Without `all`, the last one of each configuration stays:
 * it took a quarter of an hour, and the next image of it wants it.
 */
export async function pruneKernels(
  progress: Progress,
  { all = false, cache }: { readonly all?: boolean | undefined; readonly cache?: string } = {},
): Promise<{ readonly removed: readonly string[] }> {
  await makeKernelsFolder(cache);
  const removed: string[] = [];
  const manifests = await Promise.all(
    (await imageIds(cache)).map((id) => readManifest(id, cache).catch(() => undefined)),
  );
  const used = new Set(manifests.map((manifest) => manifest?.derived?.kernelId));
  const pointers = await kernelPointers(cache);

  for (const folder of await unfinishedKernels("", cache)) {
    const hash = basename(folder).slice(buildingPrefix.length).split(".")[0] ?? "";
    await unlessBuilt(hash, progress, cache, async () => {
      await removeFolders([folder]);
      removed.push(basename(folder));
    });
  }
  for (const id of await kernelIds(cache)) {
    const makers = [...pointers].filter(([, made]) => made === id).map(([hash]) => hash);
    if (used.has(id) || (!all && makers.length > 0)) continue;
    const [hash = id] = makers;
    await unlessBuilt(hash, progress, cache, async () => {
      for (const each of makers) await forgetKernel(each, cache);
      await removeFolders([kernelFolder(id, cache)]);
      removed.push(id);
    });
  }
  // What failed builds said.
  for (const hash of await kernelLogs(cache))
    if (!pointers.has(hash))
      await unlessBuilt(hash, progress, cache, () => forgetKernel(hash, cache));
  return { removed };
}

async function unlessBuilt(
  hash: string,
  progress: Progress,
  cache: string | undefined,
  work: () => Promise<void>,
): Promise<void> {
  const file = kernelLock(hash, cache);
  try {
    const lock = await takeLock(file, { deadlineSeconds: 0 });
    try {
      await work();
    } finally {
      await lock.release();
    }
  } catch (error) {
    if (!(error instanceof LockBusy)) throw error;
    progress.line(`a kernel of configuration ${hash} is being built; its files are left alone`);
  }
}
