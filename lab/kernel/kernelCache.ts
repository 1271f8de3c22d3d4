/**
 * How custom kernels lie in the user's cache:
 *
 *     kernels/<id>/manifest.json, files/   a finished one: what is laid over an image's root file system
 *     kernels/<recipe hash>.json           the kernel that a configuration last made
 *     kernels/<recipe hash>.lock, .log     held, and written, while it is built
 *     kernels/.building-<recipe hash>.*    under way, or left by a build that was killed
 *
 * A folder under its id is whole, because it gets its name last.
 */
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import writeFileAtomic from "write-file-atomic";
import * as z from "zod";
import { places } from "../config/places.ts";
import { hashFile } from "../image/checksum.ts";
import { digestTree } from "../image/verify.ts";

export const kernelsFolder = (cache: string = places().cache): string => join(cache, "kernels");
export const kernelFolder = (id: string, cache?: string): string => join(kernelsFolder(cache), id);
export const kernelFiles = (id: string, cache?: string): string =>
  join(kernelFolder(id, cache), "files");
export const kernelLock = (recipeHash: string, cache?: string): string =>
  join(kernelsFolder(cache), `${recipeHash}.lock`);
export const kernelLog = (recipeHash: string, cache?: string): string =>
  join(kernelsFolder(cache), `${recipeHash}.log`);
export const buildingPrefix = ".building-";

const manifestSchema = z.object({
  id: z.string().regex(/^[a-z0-9][a-z0-9.-]*$/),
  recipeHash: z.string(),
  release: z.string().min(1),
  /** The version of the distribution's package of sources. */
  sourceVersion: z.string(),
  /** The compiler that built it, by its package's version. */
  compiler: z.string(),
  created: z.string(),
  seconds: z.number(),
  /** Of the kernel itself, and of the names, modes and sizes of all files. */
  sha256: z.string().length(64),
  digest: z.string().length(64),
});
export type KernelManifest = z.infer<typeof manifestSchema>;

/** A kernel of the cache that is as its build left it; undefined when there is none. */
export async function openKernel(id: string, cache?: string): Promise<KernelManifest | undefined> {
  try {
    const text = await readFile(join(kernelFolder(id, cache), "manifest.json"), "utf8");
    const manifest = manifestSchema.parse(JSON.parse(text));
    const { sha256, digest } = await sumsOf(kernelFiles(id, cache), manifest.release);
    return sha256 === manifest.sha256 && digest === manifest.digest ? manifest : undefined;
  } catch {
    // Absent, cut off, of another version: then it is built anew.
    return undefined;
  }
}

/** The sums that a manifest holds, of a folder of files. */
export async function sumsOf(
  files: string,
  release: string,
): Promise<Pick<KernelManifest, "sha256" | "digest">> {
  const sha256 = await hashFile(join(files, "boot", `vmlinuz-${release}`));
  return { sha256, digest: await digestTree(files) };
}

/** The id of the kernel that a configuration last made here. */
export async function readKernelPointer(
  recipeHash: string,
  cache?: string,
): Promise<string | undefined> {
  try {
    const text = await readFile(join(kernelsFolder(cache), `${recipeHash}.json`), "utf8");
    return z.object({ id: z.string() }).parse(JSON.parse(text)).id;
  } catch {
    return undefined;
  }
}

export async function writeKernelPointer(
  recipeHash: string,
  id: string,
  cache?: string,
): Promise<void> {
  const file = join(kernelsFolder(cache), `${recipeHash}.json`);
  await writeFileAtomic(file, `${JSON.stringify({ id })}\n`);
}

export async function makeKernelsFolder(cache?: string): Promise<void> {
  await mkdir(kernelsFolder(cache), { recursive: true });
}

async function names(cache?: string): Promise<string[]> {
  return (await readdir(kernelsFolder(cache)).catch(() => [])).sort();
}

/** The ids of the kernels in the cache. */
export async function kernelIds(cache?: string): Promise<string[]> {
  return (await names(cache)).filter((name) => !name.startsWith(".") && !/\.\w+$/.test(name));
}

/** Folders that builds of a configuration, or of any, have left unfinished. */
export async function unfinishedKernels(recipeHash = "", cache?: string): Promise<string[]> {
  const start = `${buildingPrefix}${recipeHash}`;
  return (await names(cache))
    .filter((name) => name.startsWith(start))
    .map((name) => join(kernelsFolder(cache), name));
}

/** The hashes of the configurations that have made something here, and what they made. */
export async function kernelPointers(cache?: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const name of await names(cache)) {
    const hash = /^([0-9a-f]{16})\.json$/.exec(name)?.[1];
    const id = hash === undefined ? undefined : await readKernelPointer(hash, cache);
    if (hash !== undefined && id !== undefined) found.set(hash, id);
  }
  return found;
}

/** The hashes of configurations whose build has left a log. */
export async function kernelLogs(cache?: string): Promise<string[]> {
  return (await names(cache)).flatMap((name) => /^([0-9a-f]{16})\.log$/.exec(name)?.[1] ?? []);
}

/** Forgets what a configuration made, and what its build said. */
export async function forgetKernel(recipeHash: string, cache?: string): Promise<void> {
  for (const end of ["json", "log"])
    await rm(join(kernelsFolder(cache), `${recipeHash}.${end}`), { force: true });
}
