/**
 * The lock file of kernels: which exact kernel a stack's `vexlab:image` and `vexlab:kernel` mean, until
 * a person takes another. Without the file, stacks follow the archive.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import * as z from "zod";
import { allow } from "./allowed.ts";
import { isDebianImage } from "./debianReleases.ts";
import { fits, parseKernelChoice } from "./kernelChoice.ts";
import type { RecipeName } from "./recipes.ts";
import { parseYamlText } from "./yamlText.ts";

/** Relative to the checkout. */
export const lockFile = "stacks/kernels.lock.yaml";

/** One kernel, exactly. */
export interface LockedKernel {
  /** What `uname -r` says. */
  readonly release: string;
  /** Of its package. */
  readonly version: string;
  /** The archive's suite that had it. */
  readonly suite: string;
  /** The package of the compiler that builds modules for it. */
  readonly compiler: string;
}

/** By the value of `vexlab:image`, then by that of `vexlab:kernel` (`distro` when it isn't set). */
export type KernelLock = Readonly<Record<string, Readonly<Record<string, LockedKernel>>>>;

const word = (allowed: string, form: RegExp) => allow(allowed, z.string().regex(form, "is none"));

const lockedSchema = z
  .strictObject({
    release: word("a release as uname -r says it", /^\S+$/),
    version: word("a version of a Debian package", /^\S+$/),
    suite: word("the name of a suite", /^[a-z][a-z-]*$/),
    compiler: word("the package of a compiler, such as gcc-12", /^gcc-\d+$/),
  })
  .superRefine(({ release, version }, context) => {
    if (parseKernelChoice(`${release}=${version}`)?.kind !== "release")
      context.addIssue({ code: "custom", path: ["release"], message: "is no kernel's release" });
  });

const lockSchema = z.strictObject({
  kernels: z
    .record(
      allow("an image of Debian", z.string().refine(isDebianImage, "is no image of Debian")),
      z.record(z.string(), lockedSchema),
    )
    .superRefine((images, context) => {
      for (const [image, kernels] of Object.entries(images))
        for (const [text, { release }] of Object.entries(kernels)) {
          const choice = parseKernelChoice(text);
          if (choice === undefined || !fits(choice, release))
            context.addIssue({
              code: "custom",
              path: [image, text, "release"],
              message: `is not what vexlab:kernel ${text} means`,
            });
        }
    }),
});

const heading = `\
# The exact kernels that the stacks beside this file boot. \`vexlab kernels lock\` writes it from what the
# archive has, \`vexlab kernels lock --check\` compares; without this file stacks follow the archive.
`;

/** The text of a lock file: sorted, so that the difference between two is what has changed. */
export function formatLock(lock: KernelLock): string {
  const sorted = Object.fromEntries(
    Object.keys(lock)
      .sort()
      .map((image) => [image, lock[image]]),
  );
  return `${heading}${stringify({ kernels: sorted }, { sortMapEntries: sortKeys, lineWidth: 0 })}`;
}

const fieldOrder = ["release", "version", "suite", "compiler"];

function sortKeys(a: { key: unknown }, b: { key: unknown }): number {
  const [one, other] = [String(valueOf(a.key)), String(valueOf(b.key))];
  const [first, second] = [fieldOrder.indexOf(one), fieldOrder.indexOf(other)];
  if (first >= 0 && second >= 0) return first - second;
  return one.localeCompare(other, "en", { numeric: true });
}

function valueOf(key: unknown): unknown {
  return typeof key === "object" && key !== null && "value" in key ? key.value : key;
}

/** @throws ConfigurationError naming every fault of the text */
export function parseLock(text: string, where: string = lockFile): KernelLock {
  return parseYamlText(text, lockSchema, lockFile, where).kernels;
}

/** The checkout's lock; undefined when it has none. @throws ConfigurationError */
export async function readLock(checkout: string): Promise<KernelLock | undefined> {
  let text: string;
  try {
    text = await readFile(join(checkout, lockFile), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  return parseLock(text);
}

/** The recipe of the locked kernel; undefined when the lock has none for this image and kernel. */
export function lockedRecipe(
  lock: KernelLock,
  image: string,
  kernel: string | undefined,
): RecipeName | undefined {
  const images: Readonly<Record<string, Readonly<Record<string, LockedKernel>> | undefined>> = lock;
  const locked = images[image]?.[kernel ?? "distro"];
  if (locked === undefined || !isDebianImage(image)) return undefined;
  return `${image}-linux-${locked.release}=${locked.version}`;
}
