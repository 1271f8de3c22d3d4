/**
 * The images that vexlab can build, and which `vexlab:image` and `vexlab:kernel` choose them.
 *
 * Only names and kernel series are here, so that a configuration is checked at preview without
 * touching the host. What a recipe installs is in lab/image/recipe.ts.
 */
import { isDebianImage, type DebianImage } from "./debianReleases.ts";
import type { Fault } from "./errors.ts";
import { kernelForms, parseKernelChoice, type KernelChoice } from "./kernelChoice.ts";

export interface RecipeEntry {
  /** The value of `vexlab:image` that it belongs to. */
  readonly image: string;
  /** The kernel, as `vexlab:kernel` takes it; undefined where it moves with the archive. */
  readonly kernel?: string;
  /** The suite that the kernel comes from; undefined for the release's own and its updates. */
  readonly suite?: string;
  /** This entry is what the image means when no kernel is named. */
  readonly standard?: boolean;
  /** Not for stacks: a baseline for measurements. */
  readonly internal?: boolean;
}

export const recipeEntries = {
  "debian-11": { image: "debian-11", kernel: "5.10", standard: true },
  "debian-12": { image: "debian-12", kernel: "6.1", standard: true },
  "debian-12-backports": { image: "debian-12", kernel: "6.12", suite: "bookworm-backports" },
  "debian-13": { image: "debian-13", kernel: "6.12", standard: true },
  "debian-13-backports": { image: "debian-13", kernel: "7.x", suite: "trixie-backports" },
  "debian-sid": { image: "debian-sid", standard: true },
  // Untrimmed, minimal packages: what a stock image of the distribution boots like.
  "debian-12-stock": { image: "debian-12-stock", kernel: "6.1", standard: true, internal: true },
} as const satisfies Record<string, RecipeEntry>;

export type FixedRecipe = keyof typeof recipeEntries;

/**
 * A recipe of the list above, or one for any other kernel of an image:
 * `debian-13-linux-7.3`, `debian-12-linux-6.12.95+deb12-amd64`, and with the version of its package
 * `debian-12-linux-6.12.95+deb12-amd64=6.12.95-1~bpo12+1`.
 */
export type RecipeName = FixedRecipe | `${DebianImage}-linux-${string}`;

const entries: [FixedRecipe, RecipeEntry][] = Object.entries(recipeEntries) as [
  FixedRecipe,
  RecipeEntry,
][];
const offered = entries.filter(([, entry]) => entry.internal !== true);

/** The values that `vexlab:image` may have. */
export const imageNames: readonly string[] = [...new Set(offered.map(([, entry]) => entry.image))];

/** The guests that the list offers, by their image and kernel; `distro` where the kernel moves. */
export const offeredGuests: readonly { readonly image: string; readonly kernel: string }[] =
  offered.map(([, { image, kernel = "distro" }]) => ({ image, kernel }));

/** The recipes of the list, the internal ones too. */
export const recipeNames: readonly FixedRecipe[] = entries.map(([name]) => name);

/** What a recipe's kernel is: of which image, and which. */
export interface RecipeKernel {
  readonly image: DebianImage;
  /** As `vexlab:kernel` takes it. */
  readonly text: string;
  readonly choice: KernelChoice;
  /** The only suite that it may come from; undefined for any of the image's. */
  readonly suite?: string;
}

/** The kernel of a recipe; undefined where the recipe has none of Debian's, or there is none. */
export function kernelOfRecipe(name: string): RecipeKernel | undefined {
  if (isFixed(name)) {
    const { image, kernel: text = "distro", suite }: RecipeEntry = recipeEntries[name];
    const choice = parseKernelChoice(text);
    if (!isDebianImage(image) || choice === undefined) return undefined;
    return { image, text, choice, ...(suite === undefined ? {} : { suite }) };
  }
  const [, image = "", text = ""] = /^([a-z0-9-]+?)-linux-(.+)$/.exec(name) ?? [];
  const choice = parseKernelChoice(text);
  if (!isDebianImage(image) || choice === undefined || choice.kind === "distro") return undefined;
  return { image, text, choice };
}

function isFixed(name: string): name is FixedRecipe {
  return Object.hasOwn(recipeEntries, name);
}

export function isRecipeName(name: string): name is RecipeName {
  return isFixed(name) || kernelOfRecipe(name) !== undefined;
}

/**
 * A recipe's name as a part of names of files and of image ids: lower case letters, digits and
 * dashes.
 */
export function recipeSlug(name: string): string {
  return name.replace(/[^a-z0-9]+/g, "-");
}

/** The kernel series that an image can have, its own first; empty for an unknown image. */
export function kernelsOf(image: string): readonly string[] {
  return entries
    .filter(([, entry]) => entry.image === image)
    .sort(([, a], [, b]) => Number(b.standard ?? false) - Number(a.standard ?? false))
    .flatMap(([, entry]) => entry.kernel ?? []);
}

/**
 * The recipe that a stack's configuration means, or what is wrong with the configuration. Whether the
 * archive has such a kernel today is another question (lab/image/kernelOffer.ts).
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
  const own = kernel === undefined || kernel === "distro";
  const found = offered.find(
    ([, entry]) =>
      entry.image === image && (own ? entry.standard === true : entry.kernel === kernel),
  );
  if (found) return found[0];
  if (parseKernelChoice(kernel ?? "") === undefined)
    return {
      key: "vexlab:kernel",
      value: kernel ?? "",
      problem: "is no kernel",
      allowed: kernelForms,
    };
  if (isDebianImage(image)) return `${image}-linux-${kernel ?? ""}`;
  return {
    key: "vexlab:kernel",
    value: kernel ?? "",
    problem: `no recipe makes ${image} with this kernel`,
    allowed: ["distro", ...kernelsOf(image)].join(", "),
  };
}
