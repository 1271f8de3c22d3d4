/** The distribution's kernel sources, from its archive by apt, which checks the signatures. */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { ExitCode, LabError } from "../config/errors.ts";
import { archiveOptions, packageArchive } from "../image/archive.ts";
import { sourceLines } from "../image/aptSources.ts";
import { removeFolders, runAsRoot } from "../image/namespace.ts";
import { recipe as recipeOf } from "../image/recipe.ts";
import { isRecipeName } from "../config/recipes.ts";
import type { Image } from "../image/image.ts";
import { kernelSuite, sourcePackage } from "./kernelRecipe.ts";

export interface KernelSource {
  /** The package's version. */
  readonly version: string;
  /** The archive of the sources, in the folder that was asked for. */
  readonly file: string;
}

/**
 * Fetches the sources of an image's kernel series into a folder that does not exist.
 * @throws LabError when the archive has none, or can't be reached
 */
export async function fetchSource(
  base: Image,
  folder: string,
  signal?: AbortSignal,
): Promise<KernelSource> {
  if (!isRecipeName(base.recipe)) throw new Error(`${base.recipe} is no recipe`);
  const one = recipeOf(base.recipe);
  const name = sourcePackage(base.kernelRelease);
  const suite = base.kernelPackage?.suite ?? kernelSuite(one);
  const archive = await packageArchive();
  const lines = archive && [
    ...sourceLines(archive, one.release),
    // Those of the release itself are there already.
    ...(new RegExp(`^${one.release}(?:-updates|-security)?$`).test(suite)
      ? []
      : [`deb ${archive.main} ${suite} main`]),
  ];
  const argv = [
    ...["mmdebstrap", "--mode=root", "--variant=extract", "--format=directory"],
    ...["--skip=output/dev", `--include=${name}`],
    '--aptopt=APT::Sandbox::User "root";',
    '--aptopt=APT::Install-Recommends "false";',
    ...(await archiveOptions()).map((option) => `--aptopt=${option}`),
    ...[one.release, folder],
    ...(lines ?? []),
  ];
  try {
    await runAsRoot(argv, { signal, environment: { DEBIAN_FRONTEND: "noninteractive" } });
  } catch (error) {
    await removeFolders([folder]);
    if (!(error instanceof LabError) || error.exitCode === ExitCode.cancelled) throw error;
    throw new LabError(
      `the kernel's sources, package ${name} of ${suite}, were not fetched: ${error.message}`,
      ExitCode.infrastructureFailed,
      "Look whether the archive is reachable and has it: apt-cache policy " + name,
      { cause: error },
    );
  }
  const sources = join(folder, "usr/src");
  const file = (await readdir(sources)).find((each) => each.startsWith(`${name}.tar`));
  if (file === undefined)
    throw new LabError(`${name} holds no sources`, ExitCode.infrastructureFailed);
  const changes = join(folder, "usr/share/doc", name, "changelog.Debian.gz");
  const { stdout } = await execa("zcat", [changes], { maxBuffer: 64 * 2 ** 20 });
  const version = /^\S+ \(([^)]+)\)/.exec(stdout)?.[1];
  if (version === undefined)
    throw new LabError(`${name} says no version of itself`, ExitCode.infrastructureFailed);
  await rm(changes, { force: true });
  return { version, file: join(sources, file) };
}
