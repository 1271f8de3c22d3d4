/** Tests that a tree has already: those that print KTAP are suites as they are. */
import { basename, dirname } from "node:path/posix";
import { isProgram, textOf } from "./treeFiles.ts";

export interface FoundSuite {
  readonly name: string;
  readonly command: readonly string[];
}

export interface SuiteSurvey {
  readonly suites: readonly FoundSuite[];
  /** Programs among the tests that print no KTAP. */
  readonly others: readonly string[];
}

const testFolder = /^(tests?|t|selftests?|kselftests?)$/i;
const printsTap = /\bK?TAP version 1[34]?\b/;
// A helper that prints the lines: a script that takes it in prints KTAP, too.
const takesHelper = /^\s*(?:\.|source)\s.*\bk?tap\b/im;

/** Looks at the programs in the folders of tests. */
export async function surveySuites(tree: string, files: readonly string[]): Promise<SuiteSurvey> {
  const suites: FoundSuite[] = [];
  const others: string[] = [];
  for (const file of files) {
    if (
      !dirname(file)
        .split("/")
        .some((folder) => testFolder.test(folder))
    )
      continue;
    if (!/\.(sh|bash|py|pl)$|^[^.]+$/.test(basename(file))) continue;
    const text = await textOf(tree, file);
    const runnable = text.startsWith("#!") && (await isProgram(tree, file));
    const interpreter = interpreterOf(file, text);
    if (!runnable && interpreter === undefined) continue;
    const helper = basename(file).toLowerCase().startsWith("ktap");
    if (helper || !(printsTap.test(text) || takesHelper.test(text))) {
      if (!helper) others.push(file);
      continue;
    }
    const command = runnable ? [file] : [interpreter ?? "sh", file];
    suites.push({ name: uniqueName(suiteName(file), suites), command });
  }
  return { suites, others };
}

/** What runs a file that is not executable itself, if it is meant to be run. */
function interpreterOf(file: string, text: string): string | undefined {
  if (file.endsWith(".py") && text.includes("__main__")) return "python3";
  const shell = /^#!.*\b(bash|sh|python3|perl)\b/.exec(text)?.[1];
  return shell;
}

/** A suite's name, as a manifest takes it. */
export function suiteName(file: string): string {
  return asName(basename(file).replace(/\.[a-z]+$/, "")) || "suite";
}

/** A text as a manifest's name: lower-case letters, digits, - and _. */
export function asName(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, "-")
    .replace(/^[^a-z0-9]+/, "")
    .slice(0, 64);
}

function uniqueName(name: string, suites: readonly FoundSuite[]): string {
  let unique = name;
  for (let count = 2; suites.some((suite) => suite.name === unique); count++)
    unique = `${name.slice(0, 60)}-${count}`;
  return unique;
}
