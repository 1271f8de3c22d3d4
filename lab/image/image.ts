/**
 * An image: an immutable root disk with its kernel, initrd and sysroot, kept in the user's cache
 * under a key made of its recipe and of the package versions that it holds.
 */
import { isRecipeName, recipeNames } from "../config/recipes.ts";
import { ExitCode, LabError } from "../config/errors.ts";
import type { Progress } from "../report/progress.ts";
import { buildImage } from "./build.ts";
import {
  asImage,
  makeCache,
  type Manifest,
  readManifest,
  readPointer,
  recipeLock,
  unfinishedBuilds,
  writePointer,
} from "./cache.ts";
import { imageHolders } from "./holders.ts";
import type { KernelPackage } from "./kernelPackage.ts";
import { takeLock } from "./lock.ts";
import { removeFolders } from "./namespace.ts";
import { hashRecipe, recipe as recipeOf } from "./recipe.ts";
import { verifyFiles } from "./verify.ts";

export interface Image {
  /** Its key, such as `debian-12-1a2b3c4d5e6f`. */
  readonly id: string;
  readonly recipe: string;
  /** Absolute path of its folder; the paths below are absolute too. */
  readonly folder: string;
  /**
   * qcow2. Of an image that is built: one ext4 file system labelled `vexlab-root` without a partition
   * table. Of one that was downloaded: a disk that boots by itself.
   */
  readonly rootDisk: string;
  /** These four are undefined for an image that was downloaded. */
  readonly kernel?: string;
  readonly initrd?: string;
  /** The same root file system as a folder of the calling user, for building modules. */
  readonly sysroot?: string;
  /** What `uname -r` says in the guest. */
  readonly kernelRelease?: string;
  /** Where the kernel is from; undefined where it is no package of the distribution. */
  readonly kernelPackage?: KernelPackage;
  /** Where it was downloaded from, and the digest that it was checked by. */
  readonly source?: { readonly url: string; readonly digest?: string | undefined };
  /** Version by package name. */
  readonly packages: Readonly<Record<string, string>>;
  /** By name relative to `folder`. */
  readonly files: Readonly<Record<string, { readonly sha256: string; readonly bytes: number }>>;
}

/** An image that vexlab built: what boots, and what modules are built with, are files of the host. */
export type BuiltImage = Image &
  Required<Pick<Image, "kernel" | "initrd" | "sysroot" | "kernelRelease">>;

/** @throws LabError for an image that was downloaded */
export function builtImage(image: Image): BuiltImage {
  const { kernel, initrd, sysroot, kernelRelease } = image;
  if (
    kernel !== undefined &&
    initrd !== undefined &&
    sysroot !== undefined &&
    kernelRelease !== undefined
  )
    return { ...image, kernel, initrd, sysroot, kernelRelease };
  throw new LabError(
    `image ${image.id} was downloaded: there is no kernel and no root file system of it on the host`,
    ExitCode.usage,
    "Build in the guest (vexlab:buildOn guest), or use an image that vexlab builds, such as debian-12.",
  );
}

/** An image is gone or not what its build wrote: nothing that lies over it can be trusted. */
export class DamagedImage extends LabError {
  override readonly name = "DamagedImage";

  constructor(message: string, next: string) {
    super(message, ExitCode.infrastructureFailed, next);
  }
}

export interface EnsureOptions {
  readonly signal?: AbortSignal | undefined;
  /** Build even when an image is there, for the package versions of today. */
  readonly refresh?: boolean | undefined;
  /** The cache; places().cache by default. */
  readonly cache?: string | undefined;
}

// A cold build takes a few minutes; under heavy load and a slow mirror many times that.
const buildDeadlineSeconds = 3600;

/**
 * The image that a recipe or source has led to; undefined when it is not here, or damaged.
 * @throws DamagedImage when stacks use a damaged one
 */
async function findImage(
  recipeHash: string,
  progress: Progress,
  cache: string | undefined,
): Promise<Image | undefined> {
  const id = await readPointer(recipeHash, cache);
  const manifest =
    id === undefined ? undefined : await readManifest(id, cache).catch(() => undefined);
  if (manifest === undefined) return undefined;
  const damages = await verifyFiles(manifest, "changed", cache);
  if (damages.length === 0) return asImage(manifest, cache);

  const what = damages.map(({ file, problem }) => `${file}: ${problem}`).join("; ");
  const holders = await imageHolders(manifest.id, cache);
  // The disks of those stacks hold only what differs from this image's disk: a new build, alike but
  // not the same byte for byte, below them would be read as a corrupt file system.
  if (holders.length > 0)
    throw new DamagedImage(
      `image ${manifest.id} is damaged (${what}) and used by ${holders.map((each) => each.holder).join(", ")}`,
      "Destroy these stacks (npm run destroy), then the image is built again.",
    );
  progress.line(`image ${manifest.id} is damaged and will be built again: ${what}`);
  return undefined;
}

/**
 * The image of a recipe: checked and returned when it is here, else built, or waited for when
 * another process builds it.
 *
 * @throws LabError, see buildImage; exit code 5 when another builder does not finish within an hour
 */
export async function ensureImage(
  name: string,
  progress: Progress,
  options: EnsureOptions = {},
): Promise<BuiltImage> {
  if (!isRecipeName(name))
    throw new LabError(
      `there is no recipe ${name}`,
      ExitCode.usage,
      `Recipes: ${recipeNames.join(", ")}`,
    );
  const one = recipeOf(name);
  const hash = await hashRecipe(one);
  const prepare = (): Promise<Maker> =>
    Promise.resolve(() => buildImage(one, hash, { progress, ...options }));
  return builtImage(await ensureMade({ name, hash, prepare }, progress, options));
}

/** Makes an image, with the lock held. */
export type Maker = () => Promise<Manifest>;

/** How an image is made. */
export interface Making {
  /** Names the image's recipe, and the lock of those who make it. */
  readonly name: string;
  /** Stands for everything that decides what is made, apart from versions in the archive. */
  readonly hash: string;
  /** Gets what has to be there first, before the lock is taken. */
  readonly prepare: () => Promise<Maker>;
  /** What a maker does, for those who wait for it; `builds` by default. */
  readonly verb?: string;
  /** Seconds to wait for another maker; an hour by default. */
  readonly deadlineSeconds?: number;
}

/**
 * An image: checked and returned when it is here, else made, or waited for when another process makes
 * it.
 *
 * @throws LabError, also with exit code 5 when another maker does not finish in time
 */
export async function ensureMade(
  { name, hash, prepare, verb = "builds", deadlineSeconds = buildDeadlineSeconds }: Making,
  progress: Progress,
  options: EnsureOptions,
): Promise<Image> {
  const { cache, signal } = options;
  if (!options.refresh) {
    const found = await findImage(hash, progress, cache);
    if (found) return found;
  }

  await makeCache(cache);
  const make = await prepare();
  const waiting = { happened: false };
  const lock = await takeLock(recipeLock(name, cache), {
    deadlineSeconds,
    signal,
    onWait: (holder) => {
      waiting.happened = true;
      progress.line(
        `waiting for ${holder ? `process ${holder.pid}, which ${verb} ${name} since ${holder.since}` : `another process that ${verb} ${name}`}`,
      );
    },
  });
  try {
    // Whoever was waited for has made it.
    if (!options.refresh || waiting.happened) {
      const found = await findImage(hash, progress, cache);
      if (found) return found;
    }
    // With the lock held, nobody else makes this one: these were killed.
    await removeFolders(await unfinishedBuilds(name, cache));
    const step = progress.step(`image ${name}`);
    try {
      const manifest = await make();
      await verifyFiles(manifest, "changed", cache);
      await writePointer(hash, manifest.id, cache);
      step.done(manifest.id);
      return asImage(manifest, cache);
    } catch (error) {
      step.failed();
      throw error;
    }
  } finally {
    await lock.release();
  }
}

/**
 * An image by its id, its files checked as verify.ts explains.
 *
 * @throws DamagedImage, also when it is not in the cache
 */
export async function openImage(id: string, cache?: string): Promise<Image> {
  const again = "Build it: vexlab image build";
  const manifest = await readManifest(id, cache);
  if (manifest === undefined) throw new DamagedImage(`image ${id} is not in the cache`, again);
  const damages = await verifyFiles(manifest, "changed", cache);
  if (damages.length > 0)
    throw new DamagedImage(
      `image ${id} is damaged: ${damages.map(({ file, problem }) => `${file}: ${problem}`).join("; ")}`,
      again,
    );
  return asImage(manifest, cache);
}
