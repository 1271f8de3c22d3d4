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
import type { BuiltImage } from "../image/image.ts";
import { kernelSuite, sourcePackage } from "./kernelRecipe.ts";

/** Where the sources of an image's kernel are from; the same for every kernel of a series. */
export interface SourceOrigin {
  /** The distribution's release. */
  readonly release: string;
  /** Of the archive. */
  readonly suite: string;
  /** Such as linux-source-6.1. */
  readonly name: string;
}

export function sourceOrigin(
  base: Pick<BuiltImage, "recipe" | "kernelRelease" | "kernelPackage">,
): SourceOrigin {
  if (!isRecipeName(base.recipe)) throw new Error(`${base.recipe} is no recipe`);
  const one = recipeOf(base.recipe);
  const suite = base.kernelPackage?.suite ?? kernelSuite(one);
  // Updates of the release replace each other: where the last one is from makes no other kernel.
  const isOwn = new RegExp(`^${one.release}(?:-updates|-security)?$`).test(suite);
  return {
    release: one.release,
    suite: isOwn ? one.release : suite,
    name: sourcePackage(base.kernelRelease),
  };
}

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
  base: BuiltImage,
  folder: string,
  signal?: AbortSignal,
): Promise<KernelSource> {
  const { release, suite, name } = sourceOrigin(base);
  const archive = await packageArchive();
  const lines = archive && [
    ...sourceLines(archive, release),
    ...(suite === release ? [] : [`deb ${archive.main} ${suite} main`]),
  ];
  const argv = [
    ...["mmdebstrap", "--mode=root", "--variant=extract", "--format=directory"],
    ...["--skip=output/dev", `--include=${name}`],
    '--aptopt=APT::Sandbox::User "root";',
    '--aptopt=APT::Install-Recommends "false";',
    ...(await archiveOptions()).map((option) => `--aptopt=${option}`),
    ...[release, folder],
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
