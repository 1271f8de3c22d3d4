/** Which files of this folder hold the verbs of a command line. */
import type { Command } from "commander";

export interface Verb {
  register(program: Command): void;
}

/** Loads a file of verbs. */
export type VerbFile = () => Promise<Verb>;

/**
 * The files with verbs, by their names without `.ts`. Written out, because a bundler can't follow
 * names that are put together at run time (toolchain/bundle.ts).
 */
const verbFiles: Readonly<Record<string, VerbFile>> = {
  daemon: () => import("./daemon.ts"),
  destroy: () => import("./destroy.ts"),
  dump: () => import("./dump.ts"),
  env: () => import("./env.ts"),
  gdb: () => import("./gdb.ts"),
  image: () => import("./image.ts"),
  init: () => import("./init.ts"),
  kernels: () => import("./kernels.ts"),
  key: () => import("./key.ts"),
  manifest: () => import("./manifest.ts"),
  matrix: () => import("./matrix.ts"),
  moduleBuild: () => import("./moduleBuild.ts"),
  moduleTest: () => import("./moduleTest.ts"),
  preview: () => import("./preview.ts"),
  recover: () => import("./recover.ts"),
  reset: () => import("./reset.ts"),
  setup: () => import("./setup.ts"),
  stack: () => import("./stack.ts"),
  test: () => import("./test.ts"),
  up: () => import("./up.ts"),
  vm: () => import("./vm.ts"),
  warm: () => import("./warm.ts"),
  watch: () => import("./watch.ts"),
};

/** The first argument that is not an option; undefined when there is none. */
export function firstWord(args: readonly string[]): string | undefined {
  return args.find((argument) => !argument.startsWith("-"));
}

/** The noun of a verb's file: "module" of `moduleBuild`, "up" of `up`. */
export function nounOf(file: string): string {
  return /^[a-z0-9]+/.exec(file)?.[0] ?? "";
}

/**
 * The files to load for a command line that begins with this word: those of its noun, or all of
 * them when no file has that noun, for the help and for naming what was meant.
 */
export function filesFor(
  word: string | undefined,
  files: Readonly<Record<string, VerbFile>> = verbFiles,
): [string, VerbFile][] {
  const all = Object.entries(files);
  const own = all.filter(([file]) => nounOf(file) === word);
  return own.length > 0 ? own : all;
}
