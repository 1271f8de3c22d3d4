/**
 * What the archive offers of the kernel that a recipe asks for: the packages to install, or, in words,
 * what there is instead.
 */
import { debianReleases } from "../config/debianReleases.ts";
import { ExitCode, LabError } from "../config/errors.ts";
import { lockFile } from "../config/kernelLock.ts";
import { kernelOfRecipe, type RecipeKernel, type RecipeName } from "../config/recipes.ts";
import { readSuites, type IndexOptions, type SuiteIndex } from "./archiveIndex.ts";
import { readPointer } from "./cache.ts";
import { type CatalogueKernel, chooseKernel, offeredKernels } from "./kernelCatalogue.ts";
import { hashRecipe, recipe } from "./recipe.ts";

/** What the suites of an image have. */
export interface KernelOffer {
  /** Undefined when they have no such kernel. */
  readonly kernel?: CatalogueKernel;
  /** All of the image's, in words. */
  readonly offered: string;
  /** Suites that could not be asked, and why; what is known of them is old or nothing. */
  readonly unknown: readonly SuiteIndex[];
}

/** Asks the archive for the kernel that a recipe wants. @throws as readSuites */
export async function kernelOffer(
  wanted: RecipeKernel,
  options: IndexOptions,
): Promise<KernelOffer> {
  const suites = await readSuites(debianReleases[wanted.image].suites, options);
  const kernels = suites.flatMap((suite) => suite.kernels);
  const kernel = chooseKernel(
    wanted.image,
    wanted.choice,
    kernels.filter(({ suite }) => wanted.suite === undefined || suite === wanted.suite),
  );
  return {
    ...(kernel === undefined ? {} : { kernel }),
    offered: offeredKernels(wanted.image, kernels) || "none that is known",
    unknown: suites.filter(({ problem }) => problem !== undefined),
  };
}

/**
 * The kernel to install for a recipe, by the archive as it is now.
 *
 * @throws LabError when the archive has no such kernel (2) or can't be asked (3)
 */
export async function kernelToInstall(
  name: RecipeName,
  options: IndexOptions,
): Promise<CatalogueKernel> {
  const wanted = kernelOfRecipe(name);
  if (wanted === undefined) throw new Error(`${name} looks no kernel up`);
  const { kernel, offered, unknown } = await kernelOffer(wanted, { ...options, refresh: true });
  if (kernel !== undefined) return kernel;
  const [closed] = unknown;
  if (closed !== undefined)
    throw new LabError(
      `the archive can't be asked for kernel ${wanted.text} of ${wanted.image}: ${closed.suite}: ${closed.problem ?? ""}`,
      ExitCode.infrastructureFailed,
      "Look at the network and at the host's apt configuration, and try again.",
    );
  throw new LabError(
    `the archive has no kernel ${wanted.text} for ${wanted.image} now; it has ${offered}`,
    ExitCode.usage,
    adviceFor(wanted),
  );
}

/** What to do about a kernel that the archive does not have (any more). */
function adviceFor({ choice }: RecipeKernel): string {
  return choice.kind === "release" && choice.version !== undefined
    ? "Take what is there now: vexlab kernels lock"
    : "Set vexlab:kernel to one of these; vexlab kernels lists all.";
}

/**
 * For a preview: what is wrong with the kernel that a recipe asks for; undefined when nothing is, when
 * an image with it is in the cache, and when nobody can tell now. The build tells then.
 */
export async function kernelProblem(
  name: RecipeName,
  options: IndexOptions,
): Promise<{ problem: string; allowed: string } | undefined> {
  const wanted = kernelOfRecipe(name);
  const one = recipe(name);
  // Kernels that a recipe of the list names are there as long as their release is.
  if (wanted === undefined || one.kernel === undefined) return undefined;
  if ((await readPointer(await hashRecipe(one), options.cache)) !== undefined) return undefined;
  const { kernel, offered, unknown } = await kernelOffer(wanted, options);
  if (kernel !== undefined || unknown.length > 0) return undefined;
  const { choice } = wanted;
  if (choice.kind !== "release" || choice.version === undefined)
    return { problem: `the archive has no such kernel for ${wanted.image} now`, allowed: offered };
  return {
    problem: `${lockFile} has ${choice.release} (${choice.version}) for it, which the archive does not have any more`,
    allowed: `${offered}; vexlab kernels lock takes what is there now`,
  };
}
