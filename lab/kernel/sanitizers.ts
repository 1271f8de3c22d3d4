/**
 * What a kernel looks for by itself, from its configuration, and how much longer everything takes in a
 * guest of it.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseKernelConfig } from "../config/kernelTree.ts";
import type { Image } from "../image/image.ts";

interface Sanitizer {
  /** The option that turns it on. */
  readonly option: string;
  /** By how much deadlines are longer with it. */
  readonly patience: number;
}

/**
 * Allowances, not measurements: each is more than what it costs, and several are multiplied. What was
 * measured is in docs/custom-kernels.md.
 */
const sanitizers = {
  gcov: { option: "GCOV_KERNEL", patience: 1.2 },
  kasan: { option: "KASAN", patience: 2.5 },
  kcsan: { option: "KCSAN", patience: 5 },
  kmemleak: { option: "DEBUG_KMEMLEAK", patience: 1.6 },
  lockdep: { option: "PROVE_LOCKING", patience: 2 },
  ubsan: { option: "UBSAN", patience: 1.2 },
} as const satisfies Record<string, Sanitizer>;

export type SanitizerName = keyof typeof sanitizers;

/** The sanitizers that a configuration turns on, by name. */
export function sanitizersIn(config: ReadonlyMap<string, string>): SanitizerName[] {
  const all = Object.entries(sanitizers) as [SanitizerName, Sanitizer][];
  return all.filter(([, { option }]) => config.get(option) === "y").map(([name]) => name);
}

/** By how much longer deadlines are than for a kernel without sanitizers; 1 for one without. */
export function patienceFor(names: readonly SanitizerName[]): number {
  return names.reduce((product, name) => product * sanitizers[name].patience, 1);
}

/** The sanitizers of an image's kernel; none where its configuration is not known. */
export async function sanitizersOf({
  sysroot,
  kernelRelease,
}: Pick<Image, "sysroot" | "kernelRelease">): Promise<SanitizerName[]> {
  if (sysroot === undefined || kernelRelease === undefined) return [];
  const file = join(sysroot, "boot", `config-${kernelRelease}`);
  const text = await readFile(file, "utf8").catch(() => "");
  return sanitizersIn(parseKernelConfig(text));
}
