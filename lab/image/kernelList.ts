/** The catalogue of kernels as `vexlab kernels` shows it: by image, with the value that means each. Pure. */
import Table from "cli-table3";
import { debianReleases, type DebianImage } from "../config/debianReleases.ts";
import { kernelOfRecipe, recipeFor } from "../config/recipes.ts";
import type { SuiteIndex } from "./archiveIndex.ts";
import { compareVersions } from "./debianVersion.ts";
import { type CatalogueKernel, chooseKernel } from "./kernelCatalogue.ts";

export interface ListedKernel extends CatalogueKernel {
  readonly distribution: "debian";
  /** The value of `vexlab:image`. */
  readonly vexlabImage: DebianImage;
  /** The shortest value of `vexlab:kernel` that means this kernel today. */
  readonly vexlabKernel: string;
}

/** What a value of `vexlab:kernel` means for an image; undefined when the archive has no such kernel. */
export function kernelMeant(
  image: DebianImage,
  text: string,
  kernels: readonly CatalogueKernel[],
): CatalogueKernel | undefined {
  const recipe = recipeFor(image, text);
  const wanted = typeof recipe === "string" ? kernelOfRecipe(recipe) : undefined;
  if (wanted === undefined) return undefined;
  const { choice, suite } = wanted;
  const possible = kernels.filter((kernel) => suite === undefined || kernel.suite === suite);
  return chooseKernel(image, text === "distro" ? { kind: "distro" } : choice, possible);
}

/** All kernels of these images, each image's newest first. A kernel that two suites have is one. */
export function listKernels(
  images: readonly DebianImage[],
  suites: readonly SuiteIndex[],
): ListedKernel[] {
  const kernels = suites.flatMap((suite) => suite.kernels);
  return images.flatMap((image) => {
    const own = new Set<string>(debianReleases[image].suites);
    const seen = new Set<string>();
    return kernels
      .filter(({ suite }) => own.has(suite))
      .sort((a, b) => compareVersions(b.version, a.version))
      .filter(({ release, version }) => {
        const key = `${release}=${version}`;
        return !seen.has(key) && seen.add(key);
      })
      .map((kernel) => ({
        distribution: "debian" as const,
        vexlabImage: image,
        vexlabKernel: shortest(image, kernel, kernels),
        ...kernel,
      }));
  });
}

function shortest(
  image: DebianImage,
  kernel: CatalogueKernel,
  kernels: readonly CatalogueKernel[],
): string {
  const means = (text: string): boolean => {
    const meant = kernelMeant(image, text, kernels);
    return meant?.release === kernel.release && meant.version === kernel.version;
  };
  return ["distro", kernel.series].find(means) ?? kernel.release;
}

/** A table for a terminal; ends with a newline. */
export function kernelTable(kernels: readonly ListedKernel[]): string {
  const nothing = { top: "", "top-mid": "", "top-left": "", "top-right": "" };
  const table = new Table({
    head: [
      ...["vexlab:image", "vexlab:kernel", "series", "release", "version", "suite"],
      ...["headers", "compiler", "debug symbols"],
    ],
    chars: {
      ...nothing,
      ...{ bottom: "", "bottom-mid": "", "bottom-left": "", "bottom-right": "" },
      ...{ left: "", "left-mid": "", mid: "", "mid-mid": "", right: "", "right-mid": "" },
      middle: "  ",
    },
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
  });
  for (const each of kernels)
    table.push([
      ...[each.vexlabImage, each.vexlabKernel, each.series, each.release, each.version],
      ...[each.suite, each.headers, each.compiler, each.debugSymbols ?? "none"],
    ]);
  return `${table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n")}\n`;
}

/** A line for each suite that is not there, or of which what is known is old, and how old the rest is. */
export function suiteNotes(suites: readonly SuiteIndex[], now: Date): string[] {
  const notes = suites.flatMap(({ suite, gone, problem, asked }) => {
    if (problem !== undefined) {
      const known =
        asked === undefined ? "nothing is known of it" : `known is what it had ${ago(asked, now)}`;
      return [`${suite} could not be asked (${problem}); ${known}`];
    }
    return gone ? [`${suite} is not in the archive, or not any more`] : [];
  });
  const oldest = suites
    .flatMap(({ asked, problem }) => (problem === undefined && asked !== undefined ? [asked] : []))
    .sort((a, b) => a.getTime() - b.getTime())[0];
  return oldest === undefined ? notes : [...notes, `the archive was asked ${ago(oldest, now)}`];
}

/** "just now", "12 min ago", "5 h ago", "3 days ago". */
function ago(then: Date, now: Date): string {
  const minutes = Math.floor((now.getTime() - then.getTime()) / 60_000);
  if (minutes < 2) return "just now";
  if (minutes < 120) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ago` : `${Math.floor(hours / 24)} days ago`;
}
