/**
 * What decides a custom kernel, and the hashes that stand for it: configuration and sources only, so
 * that a preview needs no build. Where Debian's sources come from follows the image's recipe.
 */
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { CustomKernel } from "../config/customKernel.ts";
import { treeFiles } from "../config/kernelTree.ts";
import type { Recipe } from "../image/recipe.ts";

/** The folder of the scripts, and of the fragments below it. */
export const kernelSources = dirname(fileURLToPath(import.meta.url));

/** Raised when the same inputs would make something else. */
const format = 1;

/** A shipped fragment's file; `guest` is what every guest needs. */
export const fragmentFile = (name: string): string =>
  join(kernelSources, "config", `${name}.config`);

/** The files that make a configuration, the later over the former. */
export function configFiles(custom: CustomKernel & { kind: "config" }): string[] {
  return [...["guest", ...custom.fragments].map(fragmentFile), ...custom.files];
}

/**
 * Hash of what decides a custom kernel, apart from the version of the distribution's sources on the
 * day. 16 hex digits.
 * @throws Error when a file of a configuration or a tree can't be read
 */
export async function hashCustomKernel(custom: CustomKernel): Promise<string> {
  const hash = createHash("sha256").update(`${format}\0${custom.kind}`);
  const add = (name: string, content: Buffer | string): void => {
    hash.update(`\0${name}\0${content.length}\0`).update(content);
  };
  for (const script of ["configure.sh", "collect.sh"])
    add(script, await readFile(join(kernelSources, script)));
  if (custom.kind === "config")
    for (const file of configFiles(custom)) add("config", await readFile(file));
  else await addTree(custom.folder, add);
  return hash.digest("hex").slice(0, 16);
}

/**
 * Of a tree: its configuration, the exported symbols, the kernel and its release by content; of its
 * modules, which may be gigabytes, sizes and times.
 */
async function addTree(
  folder: string,
  add: (name: string, content: Buffer | string) => void,
): Promise<void> {
  for (const file of [treeFiles.config, treeFiles.symbols, treeFiles.kernel, treeFiles.release])
    add(file, await readFile(join(folder, file)));
  const modules = treeModules(await readFile(join(folder, treeFiles.modules), "utf8"));
  const looks = await Promise.all(
    modules.map(async (candidates) => {
      for (const path of candidates) {
        const found = await stat(join(folder, path), { bigint: true }).catch(() => undefined);
        if (found !== undefined) return `${path} ${found.size} ${found.mtimeNs}`;
      }
      return `${candidates[0] ?? ""} missing`;
    }),
  );
  add(treeFiles.modules, looks.join("\n"));
}

/** Where the modules of a modules.order may be: old kernels write kernel/PATH.ko, new ones PATH.o. */
export function treeModules(order: string): string[][] {
  return order
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const path = line.replace(/\.k?o$/, ".ko");
      return path.startsWith("kernel/") ? [path, path.slice("kernel/".length)] : [path];
    });
}

/** The suite of the archive that a recipe's kernel comes from: apt's NAME/SUITE, else the release. */
export function kernelSuite({ packages, release }: Pick<Recipe, "packages" | "release">): string {
  const name = packages.find((each) => each.startsWith("linux-image-"));
  return /\/(.+)$/.exec(name ?? "")?.[1] ?? release;
}

/** The package of the sources of a kernel release such as 6.1.0-56-amd64: linux-source-6.1. */
export function sourcePackage(kernelRelease: string): string {
  const series = /^\d+\.\d+/.exec(kernelRelease)?.[0];
  if (series === undefined) throw new Error(`${kernelRelease} is no kernel's release`);
  return `linux-source-${series}`;
}

/** What the release of a kernel with these fragments ends in; the kernel takes at most 64 characters. */
export function releaseSuffix({ fragments, files }: CustomKernel & { kind: "config" }): string {
  return ["", ...fragments, ...(files.length > 0 ? ["own"] : [])].join("-");
}
