/**
 * The images that vexlab can build, and which `vexlab:image` and `vexlab:kernel` choose them.
 *
 * Only names and kernel series are here, so that a configuration is checked at preview without
 * touching the host. What a recipe installs is in lab/image/recipe.ts.
 */
import type { Fault } from "./errors.ts";

export interface RecipeEntry {
  /** The value of `vexlab:image` that it belongs to. */
  readonly image: string;
  /** The kernel's series, as `vexlab:kernel` takes it. */
  readonly kernel: string;
  /** This entry is what the image means when no kernel is named. */
  readonly standard?: boolean;
  /** Not for stacks: a baseline for measurements. */
  readonly internal?: boolean;
}

export const recipeEntries = {
  "debian-12": { image: "debian-12", kernel: "6.1", standard: true },
  "debian-12-backports": { image: "debian-12", kernel: "6.12" },
  // Untrimmed, minimal packages: what a stock image of the distribution boots like.
  "debian-12-stock": { image: "debian-12-stock", kernel: "6.1", standard: true, internal: true },
} as const satisfies Record<string, RecipeEntry>;

export type RecipeName = keyof typeof recipeEntries;

const entries = Object.entries(recipeEntries) as [RecipeName, RecipeEntry][];
const offered = entries.filter(([, entry]) => entry.internal !== true);

/** The values that `vexlab:image` may have. */
export const imageNames: readonly string[] = [...new Set(offered.map(([, entry]) => entry.image))];

/** Every recipe, the internal ones too. */
export const recipeNames: readonly RecipeName[] = entries.map(([name]) => name);

export function isRecipeName(name: string): name is RecipeName {
  return Object.hasOwn(recipeEntries, name);
}

/** The kernel series that an image can have, its own first; empty for an unknown image. */
export function kernelsOf(image: string): readonly string[] {
  return entries
    .filter(([, entry]) => entry.image === image)
    .sort(([, a], [, b]) => Number(b.standard ?? false) - Number(a.standard ?? false))
    .map(([, entry]) => entry.kernel);
}

/**
 * The recipe that a stack's configuration means, or what is wrong with the configuration.
 *
 * @param image the value of `vexlab:image`
 * @param kernel the value of `vexlab:kernel`; the image's own when undefined
 */
export function recipeFor(image: string, kernel?: string): RecipeName | Fault {
  if (!imageNames.includes(image))
    return {
      key: "vexlab:image",
      value: image,
      problem: "no recipe makes this image",
      allowed: imageNames.join(", "),
    };
  const found = offered.find(
    ([, entry]) =>
      entry.image === image &&
      (kernel === undefined ? entry.standard === true : entry.kernel === kernel),
  );
  if (found) return found[0];
  return {
    key: "vexlab:kernel",
    value: kernel ?? "",
    problem: `no recipe makes ${image} with this kernel`,
    allowed: kernelsOf(image).join(", "),
  };
}
