/**
 * How images lie in the user's cache:
 *
 *     images/<id>/manifest.json, root.qcow2, vmlinuz, initrd, sysroot/   a finished image
 *     images/<id>/verified.json    what its files looked like when their checksums were last right
 *     images/<id>.users/           a file for each stack that uses it
 *     images/.building-<recipe>.*  under way, or left by a build that was killed
 *     downloads/<name>/            what has come of images that are being downloaded
 *     recipes/<recipe hash>.json   the image that a recipe last made
 *     recipes/<recipe>.lock        held while the recipe is built
 *
 * vmlinuz is unpacked, an ELF file, where QEMU can start it so (initrd.sh).
 *
 * A folder with a manifest is finished, because it gets its name last.
 */
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import writeFileAtomic from "write-file-atomic";
import * as z from "zod";
import { ExitCode, LabError } from "../config/errors.ts";
import { places } from "../config/places.ts";
import { recipeSlug } from "../config/recipes.ts";
import type { Image } from "./image.ts";
import { kernelPackageSchema } from "./kernelPackage.ts";

export const imagesFolder = (cache: string = places().cache): string => join(cache, "images");
export const imageFolder = (id: string, cache?: string): string => join(imagesFolder(cache), id);
export const downloadsFolder = (cache: string = places().cache): string => join(cache, "downloads");
export const recipesFolder = (cache: string = places().cache): string => join(cache, "recipes");
export const recipeLock = (recipe: string, cache?: string): string =>
  join(recipesFolder(cache), `${recipeSlug(recipe)}.lock`);

/** The part of the names of a recipe's unfinished builds that is always the same. */
export const buildingPrefix = (recipe: string): string => `.building-${recipeSlug(recipe)}.`;

export const fileNames = {
  rootDisk: "root.qcow2",
  kernel: "vmlinuz",
  initrd: "initrd",
  sysroot: "sysroot",
} as const;

/** A kernel beside those that recipes install, as it is kept in files. */
export const customKernelSchema = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("config"),
    fragments: z.array(z.string()).readonly(),
    files: z.array(z.string()).readonly(),
  }),
  z.object({ kind: z.literal("tree"), folder: z.string() }),
]);

export const manifestSchema = z.object({
  id: z.string().regex(/^[a-z0-9][a-z0-9.-]*$/),
  recipe: z.string(),
  recipeHash: z.string(),
  /** Undefined when the image's own boot loader decides it. */
  kernelRelease: z.string().min(1).optional(),
  kernelPackage: kernelPackageSchema.optional(),
  created: z.string(),
  packages: z.record(z.string(), z.string()),
  files: z.record(z.string(), z.object({ sha256: z.string().length(64), bytes: z.number() })),
  /** Of the names, kinds, modes and sizes of everything in the sysroot (verify.ts), if it has one. */
  sysrootDigest: z.string().length(64).optional(),
  /** Where it was downloaded from, and the digest that it was checked by. */
  source: z.object({ url: z.string(), digest: z.string().optional() }).optional(),
  /** Of an image with a custom kernel: the recipe that it lies over, and the kernel. */
  derived: z
    .object({
      base: z.string(),
      custom: customKernelSchema,
      /** In the cache of kernels. */
      kernelId: z.string().optional(),
    })
    .optional(),
});
export type Manifest = z.infer<typeof manifestSchema>;

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code;

export async function makeCache(cache?: string): Promise<void> {
  await mkdir(imagesFolder(cache), { recursive: true });
  await mkdir(recipesFolder(cache), { recursive: true });
}

/** The manifest of a finished image; undefined when there is none by that id. */
export async function readManifest(id: string, cache?: string): Promise<Manifest | undefined> {
  const file = join(imageFolder(id, cache), "manifest.json");
  try {
    return manifestSchema.parse(JSON.parse(await readFile(file, "utf8")));
  } catch (error) {
    if (hasCode(error, "ENOENT") || hasCode(error, "ENOTDIR")) return undefined;
    throw new LabError(
      `image ${id} is damaged: its manifest ${file} cannot be read`,
      ExitCode.infrastructureFailed,
      `Build it again: vexlab image build, or delete ${imageFolder(id, cache)}`,
      { cause: error },
    );
  }
}

/** A manifest as what the rest of vexlab uses. */
export function asImage(manifest: Manifest, cache?: string): Image {
  const folder = imageFolder(manifest.id, cache);
  return {
    id: manifest.id,
    recipe: manifest.recipe,
    folder,
    rootDisk: join(folder, fileNames.rootDisk),
    // What a downloaded image boots is in its disk.
    ...(manifest.kernelRelease === undefined
      ? {}
      : {
          kernel: join(folder, fileNames.kernel),
          initrd: join(folder, fileNames.initrd),
          sysroot: join(folder, fileNames.sysroot),
          kernelRelease: manifest.kernelRelease,
        }),
    ...(manifest.kernelPackage === undefined ? {} : { kernelPackage: manifest.kernelPackage }),
    ...(manifest.source && { source: manifest.source }),
    packages: manifest.packages,
    files: manifest.files,
  };
}

const pointerSchema = z.object({ id: z.string() });

/** The id that a recipe last made; undefined when it made none here, or the pointer is unreadable. */
export async function readPointer(recipeHash: string, cache?: string): Promise<string | undefined> {
  try {
    const text = await readFile(join(recipesFolder(cache), `${recipeHash}.json`), "utf8");
    return pointerSchema.parse(JSON.parse(text)).id;
  } catch {
    // An unreadable pointer costs a build, which writes it anew.
    return undefined;
  }
}

export async function writePointer(recipeHash: string, id: string, cache?: string): Promise<void> {
  const file = join(recipesFolder(cache), `${recipeHash}.json`);
  await writeFileAtomic(file, `${JSON.stringify({ id })}\n`);
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw error;
  }
}

/** The ids of the finished images. */
export async function imageIds(cache?: string): Promise<string[]> {
  const names = await namesIn(imagesFolder(cache));
  return names.filter((name) => !name.startsWith(".") && !name.endsWith(".users"));
}

/** Absolute paths of what builds of a recipe, or of every recipe, have left unfinished. */
export async function unfinishedBuilds(recipe?: string, cache?: string): Promise<string[]> {
  const start = recipe === undefined ? ".building-" : buildingPrefix(recipe);
  const names = await namesIn(imagesFolder(cache));
  return names
    .filter((name) => name.startsWith(start))
    .map((name) => join(imagesFolder(cache), name));
}

/** The ids that pointers name, by the recipe hash that points to them. */
export async function pointers(cache?: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const name of await namesIn(recipesFolder(cache))) {
    if (!name.endsWith(".json")) continue;
    const hash = name.slice(0, -".json".length);
    const id = await readPointer(hash, cache);
    if (id !== undefined) found.set(hash, id);
  }
  return found;
}
