/**
 * Kernels that no distribution ships: Debian's sources with fragments of configuration
 * (`vexlab:kernelConfig`), or a tree that the user has built (`vexlab:kernelTree`). What of them can be
 * wrong is told at preview; how they are made is in lab/kernel.
 */
import { access, constants, stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import type { Fault } from "./errors.ts";
import { nearest } from "./nearest.ts";
import { recipeSlug } from "./recipes.ts";

/** A kernel beside those that an image's recipe installs. */
export type CustomKernel =
  | {
      readonly kind: "config";
      /** Names of shipped fragments, sorted. */
      readonly fragments: readonly string[];
      /** Files of the user's, absolute, in the order in which they are laid over the shipped ones. */
      readonly files: readonly string[];
    }
  | {
      readonly kind: "tree";
      /** Absolute. */
      readonly folder: string;
    };

/** The fragments that vexlab ships as lab/kernel/config/NAME.config, and which of them exclude which. */
export const shippedFragments: Readonly<Record<string, { readonly excludes: readonly string[] }>> =
  {
    gcov: { excludes: [] },
    // The compiler can put in the checks of one of them only.
    kasan: { excludes: ["kcsan"] },
    kcsan: { excludes: ["kasan"] },
    kmemleak: { excludes: [] },
    lockdep: { excludes: [] },
    ubsan: { excludes: [] },
  };

export const fragmentNames: readonly string[] = Object.keys(shippedFragments);

/** What `vexlab:kernelConfig` may be, for messages. */
export const kernelConfigForm = `some of ${fragmentNames.join(", ")}, or paths of files that end in .config, separated by commas`;

/**
 * The words of `vexlab:kernelConfig`. Pulumi hands a list of YAML over as JSON.
 * @returns undefined when it is neither words nor a list of words
 */
export function kernelConfigWords(text: string): readonly string[] | undefined {
  if (!text.trimStart().startsWith("[")) return text.split(/[\s,]+/).filter((word) => word !== "");
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) && list.every((each) => typeof each === "string") ? list : undefined;
  } catch {
    return undefined;
  }
}

const isFile = (word: string): boolean => word.endsWith(".config");

/**
 * Fragments by their words, or all that is wrong with them.
 * @param key as the user wrote it, for messages
 * @param folder what relative paths are relative to
 */
export async function customConfig(
  key: string,
  words: readonly string[],
  folder: string,
): Promise<CustomKernel | readonly Fault[]> {
  const faults: Fault[] = [];
  const fault = (value: string, problem: string, allowed: string): void => {
    faults.push({ key, value, problem, allowed });
  };
  const fragments = [...new Set(words.filter((word) => !isFile(word)))].sort();
  const files = [...new Set(words.filter(isFile).map((word) => resolve(folder, word)))];
  if (words.length === 0) fault("", "names no fragment", kernelConfigForm);
  for (const name of fragments) {
    if (Object.hasOwn(shippedFragments, name)) continue;
    const guess = nearest(name, fragmentNames);
    const hint = guess === undefined ? "" : `, did you mean ${guess}?`;
    fault(name, `is no fragment that vexlab ships${hint}`, kernelConfigForm);
  }
  for (const name of fragments)
    for (const other of shippedFragments[name]?.excludes ?? [])
      if (name < other && fragments.includes(other))
        fault(
          `${name}, ${other}`,
          "no kernel can have both",
          `one of them; two stacks, one with ${name} and one with ${other}, run side by side`,
        );
  for (const file of files) {
    const problem = await fileProblem(file);
    if (problem !== undefined) fault(file, problem, kernelConfigForm);
  }
  return faults.length > 0 ? faults : { kind: "config", fragments, files };
}

async function fileProblem(file: string): Promise<string | undefined> {
  try {
    if (!(await stat(file)).isFile()) return "is not a file";
    await access(file, constants.R_OK);
    return undefined;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === "ENOENT" ? "does not exist" : `can't be read: ${message}`;
  }
}

/** How images with such a kernel are called, after the recipe of the image that they are made from. */
export function customName(base: string, custom: CustomKernel): string {
  const own = custom.kind === "tree" ? [] : custom.files.map((file) => basename(file, ".config"));
  const words = custom.kind === "tree" ? ["tree"] : [...custom.fragments, ...own];
  return [base, ...words].map((word) => recipeSlug(word.toLowerCase())).join("-");
}
