/** Which files of this folder hold the verbs of a command line. */
import { readdirSync } from "node:fs";

// What is here and is not a verb.
const others = new Set([
  "knownGuest.ts",
  "main.ts",
  "printError.ts",
  "stackRun.ts",
  "testOnce.ts",
  "verbs.ts",
]);

/** The first argument that is not an option; undefined when there is none. */
export function firstWord(args: readonly string[]): string | undefined {
  return args.find((argument) => !argument.startsWith("-"));
}

/** The noun of a verb's file: "image" of `imageBuild.ts`, "up" of `up.ts`. */
export function nounOf(file: string): string {
  return /^[a-z0-9]+/.exec(file)?.[0] ?? "";
}

/**
 * The files to load for a command line that begins with this word: those of its noun, or all of
 * them when no file has that noun, for the help and for naming what was meant.
 */
export function modulesFor(
  word: string | undefined,
  files: readonly string[] = readdirSync(new URL(".", import.meta.url)),
): string[] {
  const verbs = files.filter((file) => file.endsWith(".ts") && !others.has(file)).sort();
  const own = verbs.filter((file) => nounOf(file) === word);
  return (own.length > 0 ? own : verbs).map((file) => `./${file}`);
}
