/** What became of a mutant, judged by the reports of its runs. Pure. */
import Table from "cli-table3";
import { isFailure } from "../../lab/run/cases.ts";
import type { RunReport, SuiteResult, VerdictKind } from "../../lab/run/verdict.ts";
import { fits, type CaseName, type Mutant } from "./mutant.ts";

/** The first thing that went wrong in a run. */
export interface Catch extends CaseName {
  readonly verdict: VerdictKind;
  readonly reason: string;
}

export type Outcome =
  | { readonly kind: "caught"; readonly by: Catch; readonly isNamed: boolean }
  | { readonly kind: "escaped" }
  /** Not a mutant as it should be: it does not build, or its happy path fails. */
  | { readonly kind: "bad"; readonly why: string }
  /** The host failed. */
  | { readonly kind: "unknown"; readonly why: string };

export interface Result {
  readonly mutant: Mutant;
  readonly outcome: Outcome;
  readonly seconds: number;
}

/** What a person is to know of a result in a word. */
const words = {
  caught: "caught",
  misnamed: "caught by another case",
  escaped: "ESCAPED",
  bad: "BAD MUTANT",
  unknown: "NOT JUDGED",
} as const;

/** What the run says about the module; undefined: nothing against it. */
export function catchOf(report: RunReport): Catch | undefined {
  const { verdict, reason, suites } = report;
  if (verdict === "passed") return undefined;
  const suite = suites.find((each) => isTroubled(each, report));
  if (suite !== undefined)
    return { suite: suite.name, name: caseOf(suite, report), verdict, reason };
  // Of the suites that are to come the first was about to be run.
  const next = suites.find(({ ending }) => ending === "notRun");
  const last = suites.findLast(({ ending }) => ending !== "notRun");
  if (verdict === "load-failed")
    return { suite: next?.name ?? "", name: "(loading the module)", verdict, reason };
  return { suite: last?.name ?? next?.name ?? "", name: "(afterwards)", verdict, reason };
}

/** Whether a run can say anything about the module. */
export function isTelling({ verdict }: RunReport): boolean {
  return !["infrastructure-failed", "cancelled"].includes(verdict);
}

function isTroubled(
  { name, cases, ending, problems }: SuiteResult,
  { crashes }: RunReport,
): boolean {
  return (
    cases.some(({ outcome }) => isFailure(outcome)) ||
    !["exited", "stopped", "notRun"].includes(ending) ||
    problems.length > 0 ||
    crashes.some((crash) => crash.suite === name)
  );
}

function caseOf({ name, cases, underWay }: SuiteResult, { crashes }: RunReport): string {
  const failed = cases.find(({ outcome }) => isFailure(outcome));
  const crash = crashes.find(({ suite }) => suite === name);
  return failed?.name ?? crash?.case ?? underWay ?? (crash ? "(the kernel's log)" : "(the suite)");
}

export function caught(mutant: Mutant, by: Catch): Outcome {
  return { kind: "caught", by, isNamed: mutant.caughtBy.some((pattern) => fits(pattern, by)) };
}

/** The suites of the manifest, in its order: those that are to catch it, and the others. */
export function suitesFor(
  { caughtBy }: Mutant,
  all: readonly string[],
): { readonly named: string[]; readonly others: string[] } {
  const isNamed = (suite: string): boolean => caughtBy.some((pattern) => pattern.suite === suite);
  return { named: all.filter(isNamed), others: all.filter((suite) => !isNamed(suite)) };
}

/** Whether it is caught, and by a case that names the right thing. */
export function isCaught({ outcome }: Result): boolean {
  return outcome.kind === "caught" && outcome.isNamed;
}

/** The table for a person, the closing line, and whether enough are caught: 22 of 24. */
export function summary(results: readonly Result[]): {
  readonly table: string;
  readonly line: string;
  readonly isEnough: boolean;
} {
  const table = new Table({
    style: { head: [], border: [], compact: true },
    head: ["mutant", "kind of bug", "outcome", "by", "s"],
  });
  for (const { mutant, outcome, seconds } of results)
    table.push([mutant.name, mutant.kind, wordOf(outcome), detailOf(outcome), Math.round(seconds)]);
  const count = results.filter(isCaught).length;
  return {
    table: table.toString(),
    line: `caught ${count} of ${results.length}`,
    isEnough: results.length > 0 && count >= Math.ceil((results.length * 22) / 24),
  };
}

export function wordOf(outcome: Outcome): string {
  return words[outcome.kind === "caught" && !outcome.isNamed ? "misnamed" : outcome.kind];
}

export function detailOf(outcome: Outcome): string {
  if (outcome.kind === "escaped") return "";
  if (outcome.kind !== "caught") return outcome.why;
  const { suite, name, verdict } = outcome.by;
  return `${suite}: ${name}${verdict === "failed" ? "" : ` (${verdict})`}`;
}
