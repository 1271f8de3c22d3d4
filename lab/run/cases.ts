/**
 * From a parsed KTAP tree to cases and problems: what passed, what failed, and what an output that
 * is cut short, miscounted or empty owes an explanation for. Pure.
 */
import { attributesOf, type Measure } from "./attributes.ts";
import type { KtapDocument, KtapLevel, KtapResult } from "./ktap.ts";
import type { CaseOutcome } from "./verdict.ts";

/** A case as its suite reported it. */
export interface ReportedCase {
  readonly name: string;
  readonly outcome: CaseOutcome;
  readonly diagnostics: readonly string[];
  readonly directive?: string;
  readonly tags?: readonly string[];
  readonly measures?: readonly Measure[];
  /** The result line that it comes from; undefined for a suite that skipped all. */
  readonly result: KtapResult | undefined;
}

/** Characters of a case's name; of deeply nested ones it is the sum of many. */
const longestName = 1024;
/** Faults of an output that are told one by one. */
const mostProblems = 100;

/** The name of a result: its description, or its number where it has none. */
export function nameOf(result: KtapResult, position: number): string {
  return result.description || `case ${result.number ?? position}`;
}

/**
 * What a single result line says.
 * SKIP, and "not ok" with TODO or XFAIL, count neither as passed nor as failed; TIMEOUT and ERROR
 * count against the case even where the line says ok, since such a line contradicts itself.
 */
export function outcomeOf(result: KtapResult): CaseOutcome {
  switch (result.directive?.kind) {
    case "SKIP":
      return "skipped";
    case "TIMEOUT":
      return "timedOut";
    case "ERROR":
      return "failed";
    case "TODO":
    case "XFAIL":
      return result.ok ? "passed" : "skipped";
    case undefined:
      return result.ok ? "passed" : "failed";
  }
}

/**
 * The cases: the leaves of the tree, named by their path. A parent is a case of its own only when
 * it failed although none of its subtests did.
 */
export function casesOf(document: KtapDocument): ReportedCase[] {
  const { top } = document;
  if (top.skipAll !== undefined && top.results.length === 0) {
    // A suite that has left out all of its cases, as it was told to, has not skipped any.
    if (attributesOf(top.trailing).selected?.count === 0) return [];
    const directive = `SKIP ${top.skipAll}`.trim();
    const name = "(whole suite)";
    return [{ name, outcome: "skipped", diagnostics: [], directive, result: undefined }];
  }
  return casesAt(top, []);
}

function casesAt(level: KtapLevel, path: readonly string[]): ReportedCase[] {
  const cases = level.results.flatMap((result, index) => {
    const own = [...path, nameOf(result, index + 1)];
    const nested = result.subtests ? casesAt(result.subtests, own) : [];
    const explained =
      nested.some((each) => isFailure(each.outcome)) || !isFailure(outcomeOf(result));
    return nested.length > 0 && explained ? nested : [...nested, caseFrom(result, own)];
  });
  return level.orphans ? [...cases, ...casesAt(level.orphans, [...path, "(unfinished)"])] : cases;
}

function caseFrom(result: KtapResult, path: readonly string[]): ReportedCase {
  const { directive } = result;
  const { rest, tags, measures } = attributesOf(result.diagnostics);
  return {
    name: path.join(" / ").slice(0, longestName),
    outcome: outcomeOf(result),
    diagnostics: rest,
    ...(tags.length > 0 && { tags }),
    ...(measures.length > 0 && { measures }),
    ...(directive && { directive: `${directive.kind} ${directive.reason}`.trim() }),
    result,
  };
}

/** Whether an outcome counts against the run. */
export function isFailure(outcome: CaseOutcome): boolean {
  return outcome === "failed" || outcome === "timedOut";
}

/** Faults of the output as a whole; empty for a well-formed, complete output. */
export function problemsOf(document: KtapDocument): string[] {
  const { top, bailOut } = document;
  const bailed = bailOut === undefined ? [] : [`the suite bailed out: ${bailOut || "no reason"}`];
  if (top.results.length === 0 && top.orphans === undefined && top.plan === undefined)
    return [...bailed, "the suite reported no case: its output has no plan and no result line"];
  const problems = [...bailed, ...problemsAt(top, "")];
  const left = problems.length - mostProblems;
  return left > 0 ? [...problems.slice(0, mostProblems), `and ${left} more faults`] : problems;
}

function problemsAt(level: KtapLevel, where: string): string[] {
  const own = [...level.problems, ...planProblems(level)];
  if (level.orphans) own.push("subtests have no result line of their own: the output is cut short");
  const nested = level.results.flatMap((result, index) =>
    result.subtests ? problemsAt(result.subtests, `${where}${nameOf(result, index + 1)} / `) : [],
  );
  const orphans = level.orphans ? problemsAt(level.orphans, `${where}(unfinished) / `) : [];
  const place = where === "" ? "" : `${where.slice(0, -3).slice(0, longestName)}: `;
  return [...own.map((problem) => place + problem), ...nested, ...orphans];
}

function planProblems(level: KtapLevel): string[] {
  const { plan, results, skipAll } = level;
  const count = results.length;
  if (plan === undefined)
    return [`no plan line: ${plural(count, "result")} came, how many were due is unknown`];
  if (plan === 0 && count === 0)
    return skipAll === undefined ? ["the plan announces no case: 1..0 without SKIP"] : [];
  const missing = missingNumbers(results, plan);
  if (missing.length > 0)
    return [
      `the plan announces ${plural(plan, "case")}, ${plural(count, "result")} came: ${missing.join(", ")} missing`,
    ];
  return count > plan ? [`the plan announces ${plural(plan, "case")}, ${count} results came`] : [];
}

/** Numbers of the plan without a result, as ranges such as "4-5". A result without number takes its position. */
export function missingNumbers(results: readonly KtapResult[], plan: number): string[] {
  const present = new Set(results.map((result, index) => result.number ?? index + 1));
  const seen = [...present].filter((number) => number >= 1 && number <= plan);
  const ranges: string[] = [];
  let next = 1;
  for (const number of [...seen.sort((a, b) => a - b), plan + 1]) {
    if (number > next) ranges.push(number - 1 === next ? `${next}` : `${next}-${number - 1}`);
    next = number + 1;
  }
  return ranges;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
