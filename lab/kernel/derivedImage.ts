/**
 * An image with another kernel: the root file system of one that a recipe made, in which a kernel's
 * files take the place of its own. Everything that works with an image works with it unchanged.
 */
import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { customName, type CustomKernel } from "../config/customKernel.ts";
import { ConfigurationError, ExitCode, LabError } from "../config/errors.ts";
import { kernelTreeFaults, treeSource } from "../config/kernelTree.ts";
import { checkDiskSpace, keepImage, phase, sealFiles } from "../image/build.ts";
import { buildingPrefix, fileNames, imagesFolder, type Manifest } from "../image/cache.ts";
import {
  builtImage,
  ensureImage,
  ensureMade,
  type BuiltImage,
  type EnsureOptions,
  type Maker,
} from "../image/image.ts";
import { checkBuildHost, removeFolders, runAsRoot } from "../image/namespace.ts";
import { hashRecipe, imageSources, recipe as recipeOf } from "../image/recipe.ts";
import { digestTree } from "../image/verify.ts";
import type { RecipeName } from "../config/recipes.ts";
import type { Progress } from "../report/progress.ts";
import { collect, ensureKernel, takeRelease } from "./buildKernel.ts";
import { debugfsComplaints, debugfsScript } from "./diskScript.ts";
import { kernelFiles } from "./kernelCache.ts";
import { hashCustomKernel, kernelSources } from "./kernelRecipe.ts";
import { inside } from "./sandbox.ts";

/** The copies of the root disk, raw and as qcow2. */
const diskNeeded = 6 * 2 ** 30;
const treeDeadlineMs = 20 * 60_000;
/** The file system needs room for the inodes and block groups of what is added. */
const spareMiB = 64;

/** The hash of everything that decides such an image, apart from versions in the archive. */
export async function hashDerived(base: RecipeName, custom: CustomKernel): Promise<string> {
  const parts = [
    await hashRecipe(recipeOf(base)),
    await hashCustomKernel(custom),
    await readFile(join(kernelSources, "root-disk.sh"), "utf8"),
  ];
  return createHash("sha256").update(parts.join("\0")).digest("hex").slice(0, 16);
}

/**
 * The image of a recipe with a custom kernel: of the cache, else made, which for a configuration may
 * mean to build the kernel first.
 * @throws LabError, also for a tree that no guest can boot
 */
export async function ensureDerivedImage(
  base: RecipeName,
  custom: CustomKernel,
  progress: Progress,
  options: EnsureOptions = {},
): Promise<BuiltImage> {
  if (custom.kind === "tree") await checkTree(custom.folder);
  const hash = await hashDerived(base, custom);
  const name = customName(base, custom);
  const { cache, signal, refresh } = options;
  // Outside of this image's own lock: each may take long, and has a lock of its own.
  const ingredients = async (): Promise<Ingredients> => {
    const image = await ensureImage(base, progress, { cache, signal, refresh });
    if (custom.kind === "tree") return { image, custom };
    const kernel = await ensureKernel(custom, image, { progress, signal, cache, refresh });
    return { image, custom, files: kernelFiles(kernel.id, cache), kernelId: kernel.id };
  };
  const prepare = async (): Promise<Maker> => {
    const ready = await ingredients();
    return () => derive(name, hash, ready, progress, options);
  };
  return builtImage(await ensureMade({ name, hash, prepare }, progress, options));
}

interface Ingredients {
  readonly image: BuiltImage;
  readonly custom: CustomKernel;
  /** The folder of the kernel's files; of a tree they are collected while the image is made. */
  readonly files?: string;
  readonly kernelId?: string;
}

async function checkTree(folder: string): Promise<void> {
  const faults = await kernelTreeFaults("kernelTree", folder, folder);
  if (faults.length > 0) throw new ConfigurationError("kernel tree", faults);
}

async function derive(
  name: string,
  hash: string,
  { image, custom, files: built, kernelId }: Ingredients,
  progress: Progress,
  { signal, cache }: EnsureOptions,
): Promise<Manifest> {
  await checkBuildHost();
  await checkDiskSpace(imagesFolder(cache), diskNeeded, `image ${name}`);
  const work = await mkdtemp(join(imagesFolder(cache), buildingPrefix(name)));
  try {
    await chmod(work, 0o755);
    const files = built ?? join(work, "files");
    let release: string;
    if (custom.kind === "tree") {
      release = await phase(progress, "kernel and modules of the tree", () =>
        collectTree(custom.folder, image, work, signal),
      );
      if ((await hashDerived(baseOf(image), custom)) !== hash)
        throw new LabError(
          `${custom.folder} was built again while its kernel was taken, so what the image holds is unknown`,
          ExitCode.infrastructureFailed,
          "Try again when the build of the kernel has ended.",
        );
    } else release = await releaseOf(files);

    const sysroot = join(work, fileNames.sysroot);
    await phase(progress, "sysroot", () => makeSysroot(image.sysroot, files, sysroot, signal));
    await phase(progress, "initrd", () =>
      runAsRoot([join(imageSources, "initrd.sh"), sysroot, work, "own"], { signal }),
    );
    await rm(join(work, "kernel-release"), { force: true });
    await phase(progress, "root disk", () => makeDisk(image, files, work, signal));
    if (built === undefined) await removeFolders([files]);

    const sealed = await sealFiles(work);
    const sum = createHash("sha256").update([hash, image.id, kernelId ?? ""].join("\0"));
    const manifest: Manifest = {
      id: `${name}-${sum.digest("hex").slice(0, 12)}`,
      recipe: name,
      recipeHash: hash,
      kernelRelease: release,
      created: new Date().toISOString(),
      packages: image.packages,
      files: sealed,
      sysrootDigest: await digestTree(sysroot),
      derived: { base: baseOf(image), custom, ...(kernelId !== undefined && { kernelId }) },
    };
    await keepImage(manifest, work, cache);
    return manifest;
  } finally {
    await removeFolders([work]);
  }
}

const baseOf = (image: BuiltImage): RecipeName => image.recipe as RecipeName;

/** Takes kernel, modules and headers from a user's tree into `files` of the work folder. */
async function collectTree(
  folder: string,
  image: BuiltImage,
  work: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  await collect(
    {
      ...{ sysroot: image.sysroot, work, signal, deadlineMs: treeDeadlineMs },
      readOnly: { [inside.source]: await treeSource(folder), [inside.build]: folder },
    },
    inside.source,
    inside.build,
  );
  return takeRelease(join(work, "files"));
}

async function releaseOf(files: string): Promise<string> {
  return (await readdir(join(files, "usr/lib/modules"))).join();
}

/**
 * The base's sysroot with another kernel. Its files are the same files by other names (hard links):
 * neither is ever written to.
 */
async function makeSysroot(
  base: string,
  files: string,
  sysroot: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const copy = ["cp", "--archive", "--link"];
  await runAsRoot([...copy, "--no-target-directory", base, sysroot], { signal });
  // What initrd.sh takes for the only kernel must be it.
  await removeFolders([join(sysroot, "usr/lib/modules"), join(sysroot, "boot")]);
  for (const folder of ["boot", "usr/lib/modules", "usr/src"])
    await mkdir(join(sysroot, folder), { recursive: true });
  await runAsRoot([...copy, "--no-target-directory", files, sysroot], { signal });
}

async function makeDisk(
  image: BuiltImage,
  files: string,
  work: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  // The sysroot has the folders that the disk has.
  const { commands } = await debugfsScript(files, (path) => existsSync(join(image.sysroot, path)));
  const script = join(work, "debugfs");
  const complaints = join(work, "debugfs-complaints");
  await writeFile(script, commands);
  const { stdout } = await execa("du", ["--summarize", "--block-size=1M", files]);
  const more = Math.ceil(Number.parseInt(stdout, 10) * 1.1) + spareMiB;
  const disk = join(work, fileNames.rootDisk);
  const program = join(kernelSources, "root-disk.sh");
  await runAsRoot([program, image.rootDisk, disk, String(more), script, complaints], { signal });
  const said = debugfsComplaints(await readFile(complaints, "utf8"));
  if (said.length > 0)
    throw new LabError(
      `the kernel's files did not get into the root disk: ${said.slice(0, 5).join("; ")}`,
      ExitCode.infrastructureFailed,
    );
  await rm(script);
  await rm(complaints);
}
