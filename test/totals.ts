/**
 * Adds up what Vitest's JSON reporter wrote for each project and prints the closing line
 * "N passed, N failed". Ends with 1 when something failed, when a project left no results, or when
 * nothing ran at all.
 */
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import * as z from "zod";

const projectResult = z.object({
  testResults: z.array(
    z.object({
      status: z.string(),
      assertionResults: z.array(z.object({ status: z.string() })),
    }),
  ),
});

export interface Totals {
  readonly passed: number;
  readonly failed: number;
}

/** The totals of one project's JSON; undefined stands for a project that left none. */
export function totalsOf(text: string | undefined): Totals {
  const parsed = text === undefined ? undefined : projectResult.safeParse(tryToParse(text));
  if (!parsed?.success) return { passed: 0, failed: 1 };
  let passed = 0;
  let failed = 0;
  for (const file of parsed.data.testResults) {
    const cases = file.assertionResults.map((result) => result.status);
    passed += cases.filter((status) => status === "passed").length;
    const bad = cases.filter((status) => status === "failed").length;
    // A file that can't be loaded, or whose hooks fail, fails without a failed case.
    failed += bad === 0 && file.status === "failed" ? 1 : bad;
  }
  return { passed, failed };
}

function tryToParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The sum, and the code to exit with. */
export function closing(all: readonly Totals[]): { readonly line: string; readonly code: number } {
  const passed = all.reduce((sum, totals) => sum + totals.passed, 0);
  const failed = all.reduce((sum, totals) => sum + totals.failed, 0);
  return { line: `${passed} passed, ${failed} failed`, code: failed > 0 || passed === 0 ? 1 : 0 };
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const { line, code } = closing(process.argv.slice(2).map((file) => totalsOf(read(file))));
  console.log(line);
  process.exitCode = code;
}
