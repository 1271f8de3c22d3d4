/**
 * Builds an image from its recipe: a root file system by mmdebstrap, then from it the kernel and
 * initrd, the root disk and the sysroot. Everything happens in one folder of the cache with a
 * temporary name, which gets its final name last.
 */
import { chmod, mkdir, mkdtemp, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import writeFileAtomic from "write-file-atomic";
import { freeBytes } from "../config/diskSpace.ts";
import { ExitCode, LabError } from "../config/errors.ts";
import { fits } from "../config/kernelChoice.ts";
import { kernelOfRecipe } from "../config/recipes.ts";
import type { Progress } from "../report/progress.ts";
import { archiveOptions, packageArchive } from "./archive.ts";
import { sourceLines } from "./aptSources.ts";
import {
  buildingPrefix,
  fileNames,
  imageFolder,
  imagesFolder,
  readManifest,
  type Manifest,
} from "./cache.ts";
import { hashFile } from "./checksum.ts";
import { checkBuildHost, removeFolders, runAsRoot } from "./namespace.ts";
import type { CatalogueKernel } from "./kernelCatalogue.ts";
import type { KernelPackage } from "./kernelPackage.ts";
import { kernelToInstall } from "./kernelOffer.ts";
import { addedSuite, hashRecipe, imageId, imageSources, rootLabel, type Recipe } from "./recipe.ts";
import { digestTree, verifyFiles } from "./verify.ts";

export interface BuildOptions {
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
  readonly cache?: string | undefined;
}

/** Bytes as a person reads them. */
export const formatBytes = (bytes: number): string =>
  bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.ceil(bytes / 2 ** 20)} MiB`;

/**
 * @throws LabError when the file system of the folder has fewer bytes free than needed
 */
export async function checkDiskSpace(folder: string, needed: number, what: string): Promise<void> {
  const free = await freeBytes(folder);
  if (free < needed)
    throw new LabError(
      `${what} needs ${formatBytes(needed)} of disk while it is built, and ${folder} has ${formatBytes(free)} free`,
      ExitCode.infrastructureFailed,
      "Free some space (vexlab image prune removes images that no stack uses), or set VEXLAB_CACHE_DIR to a larger file system.",
    );
}

/** dpkg's list of installed packages, from its status file: version by name. */
export function parseDpkgStatus(text: string): Record<string, string> {
  const packages: Record<string, string> = {};
  for (const stanza of text.split("\n\n")) {
    const field = (name: string): string | undefined =>
      new RegExp(`^${name}: (.*)$`, "m").exec(stanza)?.[1];
    const name = field("Package");
    const version = field("Version");
    if (name !== undefined && version !== undefined && field("Status") === "install ok installed")
      packages[name] = version;
  }
  return packages;
}

/** Runs one phase and shows it; a failure is shown as such and passed on. */
export async function phase<T>(
  progress: Progress,
  name: string,
  work: () => Promise<T>,
  note?: (result: T) => string,
): Promise<T> {
  const step = progress.step(name);
  try {
    const result = await work();
    step.done(note?.(result));
    return result;
  } catch (error) {
    step.failed();
    throw error;
  }
}

/** The recipe with the packages of a kernel that the archive has. */
export function withPackagesOf(
  one: Recipe,
  { suite, version, image, headers }: CatalogueKernel,
): Recipe {
  const wanted = kernelOfRecipe(one.name);
  const added = wanted === undefined ? {} : addedSuite(wanted.image, suite);
  // By the suite where apt takes nothing from it by itself: what the packages depend on is taken from
  // there, too, which a version does not bring about.
  const from = added.suites === undefined ? `=${version}` : `/${suite}`;
  return { ...one, ...added, packages: [...one.packages, `${image}${from}`, `${headers}${from}`] };
}

async function makeRootFileSystem(one: Recipe, root: string, options: BuildOptions): Promise<void> {
  const archive = await packageArchive();
  const argv = [
    "mmdebstrap",
    // Root of the namespace, whoever the caller is (namespace.ts).
    "--mode=root",
    "--variant=minbase",
    "--format=directory",
    "--skip=output/dev",
    ...one.hooks.map((folder) => `--hook-directory=${join(imageSources, "hooks", folder)}`),
    `--include=${one.packages.join(",")}`,
    // apt's own user cannot reach a folder below the caller's home.
    '--aptopt=APT::Sandbox::User "root";',
    ...(await archiveOptions()).map((option) => `--aptopt=${option}`),
    one.release,
    root,
    ...(archive === undefined ? [] : sourceLines(archive, one.release)),
  ];
  const gone: string[] = [];
  const building = runAsRoot(argv, {
    signal: options.signal,
    environment: {
      DEBIAN_FRONTEND: "noninteractive",
      // Making the distribution's initrd takes long and would be for nothing (initramfs-tools' hook).
      ...(one.initrd === "own" ? { INITRD: "No" } : {}),
      VEXLAB_RELEASE: one.release,
      VEXLAB_SUITES: one.suites?.join(" ") ?? "",
    },
    onLine: (line) => {
      // mmdebstrap marks its own stages so; the rest is the output of dpkg and of maintainer scripts.
      const stage =
        /^I: ((?:running apt-get update|downloading|extracting|installing|cleaning).*)$/.exec(line);
      if (stage?.[1] !== undefined) options.progress.line(stage[1]);
      else if (/^[WE]: /.test(line)) options.progress.line(line);
      gone.push(...goneFrom(line));
    },
  });
  await building.catch((error: unknown) => {
    if (gone.length === 0 || options.signal?.aborted === true) throw error;
    throw new LabError(
      `the archive does not have ${[...new Set(gone)].join(", ")} (any more), which recipe ${one.name} needs`,
      ExitCode.infrastructureFailed,
      "vexlab kernels lists what there is; VEXLAB_MIRROR and VEXLAB_SECURITY_MIRROR choose another archive.",
      { cause: error },
    );
  });
}

/**
 * What an error of apt says that the archive lacks: a suite, a file that its index names, a package or
 * a version of one.
 */
export function goneFrom(line: string): string[] {
  const [, suite, file, name, version, of] =
    /^E: The repository '\S+ (\S+) Release' does not have a Release file|^E: Failed to fetch \S+\/(\S+\.deb)\s+404\b|^E: Unable to locate package (\S+)|^E: Version '(\S+)' for '(\S+)' was not found/.exec(
      line,
    ) ?? [];
  if (suite !== undefined) return [`suite ${suite}`];
  if (file !== undefined)
    return [
      file.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
    ];
  if (name !== undefined) return [`package ${name}`];
  return of === undefined ? [] : [`${of} ${version ?? ""}`];
}

async function makeFiles(
  one: Recipe,
  work: string,
  options: BuildOptions,
): Promise<Manifest["files"]> {
  const { progress, signal } = options;
  const root = join(work, "root");
  const script = (name: string): string => join(imageSources, name);

  await phase(progress, "initrd", () =>
    runAsRoot([script("initrd.sh"), root, work, one.initrd], { signal }),
  );
  await phase(progress, "root disk", () =>
    runAsRoot([script("root-disk.sh"), root, join(work, fileNames.rootDisk), rootLabel], {
      signal,
    }),
  );
  await phase(progress, "sysroot", () =>
    runAsRoot([script("sysroot.sh"), root, join(work, fileNames.sysroot)], { signal }),
  );

  return sealFiles(work);
}

/** The sums of an image's files, which nobody may write to any more. */
export async function sealFiles(work: string): Promise<Manifest["files"]> {
  const files: Manifest["files"] = {};
  for (const name of [fileNames.rootDisk, fileNames.kernel, fileNames.initrd]) {
    const path = join(work, name);
    // A guest that wrote into a shared image would break every other one.
    await chmod(path, 0o444);
    const { size } = await stat(path);
    files[name] = { sha256: await hashFile(path), bytes: size };
  }
  return files;
}

/** What hooks/trimmed/customize30-kernel.sh has written down; a stock image has no such file. */
async function readKernelPackage(root: string): Promise<KernelPackage | undefined> {
  const file = join(root, "usr/lib/vexlab/kernel-package");
  const text = await readFile(file, "utf8").catch(() => "");
  const [name = "", version = "", suite = ""] = text.split("\n");
  return suite === "" ? undefined : { name, version, suite };
}

/** A suite moves on: its newest kernel may be another than the one that the recipe says it is. */
function checkKernel(one: Recipe, release: string): void {
  const wanted = kernelOfRecipe(one.name);
  if (wanted === undefined || fits(wanted.choice, release)) return;
  throw new LabError(
    `recipe ${one.name} is to have kernel ${wanted.text}, and the archive gives ${release} for it now`,
    ExitCode.infrastructureFailed,
    "Choose a kernel that is there by vexlab:kernel; vexlab kernels lists them.",
  );
}

/** Gives the folder of an image its name, unless the same image is here already. */
export async function keepImage(manifest: Manifest, work: string, cache?: string): Promise<void> {
  const target = imageFolder(manifest.id, cache);
  const existing = await readManifest(manifest.id, cache).catch(() => undefined);
  if (existing && (await verifyFiles(existing, "all", cache)).length === 0) return;

  await writeFileAtomic(join(work, "manifest.json"), `${JSON.stringify(manifest, undefined, 1)}\n`);
  // The name must not outlive a power failure that the content does not.
  await execa("sync", ["--file-system", work]);
  const damaged = join(
    imagesFolder(cache),
    `${buildingPrefix(manifest.recipe)}damaged-${process.pid}`,
  );
  await rename(target, damaged).catch((error: unknown) => {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  });
  await rename(work, target);
  await execa("sync", ["--file-system", imagesFolder(cache)]);
  await removeFolders([damaged]);
}

/**
 * Builds an image. The caller holds the recipe's lock and has removed what earlier builds left.
 *
 * @throws LabError when the host lacks something, the disk is too full, a phase fails (exit code 3)
 *   or the signal cancels it (130); nothing is left then
 */
export async function buildImage(
  one: Recipe,
  recipeHash: string,
  options: BuildOptions,
): Promise<Manifest> {
  const { progress, cache } = options;
  await checkBuildHost();
  await mkdir(imagesFolder(cache), { recursive: true });
  await checkDiskSpace(imagesFolder(cache), one.diskNeeded, `image ${one.name}`);

  const work = await mkdtemp(join(imagesFolder(cache), buildingPrefix(one.name)));
  try {
    await chmod(work, 0o755);
    const complete =
      one.kernel === undefined
        ? one
        : withPackagesOf(
            one,
            await phase(
              progress,
              `kernel ${one.kernel}`,
              () => kernelToInstall(one.name, { progress, cache, signal: options.signal }),
              ({ release, suite }) => `${release} of ${suite}`,
            ),
          );
    await phase(progress, "root file system", () =>
      makeRootFileSystem(complete, join(work, "root"), options),
    );
    const origin = await readKernelPackage(join(work, "root"));
    const status = await readFile(join(work, "root/var/lib/dpkg/status"), "utf8");
    const packages = parseDpkgStatus(status);
    const files = await makeFiles(one, work, options);
    const kernelReleaseFile = join(work, "kernel-release");
    const kernelRelease = (await readFile(kernelReleaseFile, "utf8")).trim();
    await rm(kernelReleaseFile);
    checkKernel(one, kernelRelease);

    const manifest: Manifest = {
      id: imageId(one.name, recipeHash, packages),
      recipe: one.name,
      recipeHash,
      kernelRelease,
      ...(origin === undefined ? {} : { kernelPackage: origin }),
      created: new Date().toISOString(),
      packages,
      files,
      sysrootDigest: await phase(progress, "sysroot digest", () =>
        digestTree(join(work, fileNames.sysroot)),
      ),
    };
    if ((await hashRecipe(one)) !== recipeHash)
      throw new LabError(
        `the files of recipe ${one.name} were changed while its image was built, so what it holds is unknown`,
        ExitCode.infrastructureFailed,
        "Try again.",
      );
    await phase(progress, "to disk", () => keepImage(manifest, work, cache));
    return manifest;
  } finally {
    await removeFolders([work]);
  }
}
