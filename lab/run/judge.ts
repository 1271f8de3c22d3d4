/** From what happened to the one verdict and the sentence that explains it. Pure. */
import { sourceAtFault } from "../console/sourceLines.ts";
import { printable } from "../report/progress.ts";
import { isFailure } from "./cases.ts";
import { everything, selectsCases, unmatched, type Selection } from "./selection.ts";
import type { CaseResult, Crash, SuiteResult, Verdict } from "./verdict.ts";

/** What a run found out. */
export interface RunFacts {
  readonly suites: readonly SuiteResult[];
  /** Which cases were asked for. */
  readonly selection?: Selection;
  /** Why the module was not loaded; undefined when it was, or no suite needed it. */
  readonly loadFailure?: string;
  /** Modules that could not be unloaded. */
  readonly moduleProblems: readonly string[];
  readonly crashes: readonly Crash[];
  /** The guest no longer answers although it runs. */
  readonly hung?: string;
  /** The guest or the connection is gone, without a crash to be seen. */
  readonly infrastructure?: string;
  readonly cancelled: boolean;
}

/**
 * The gravest fact wins: a crash explains a lost connection, failed cases and a module that won't
 * unload, so it comes first; failed cases come after a hang, which may have caused them.
 */
export function judge(facts: RunFacts): Verdict {
  const { kind, reason } = verdictOn(facts);
  return { kind, reason: oneLine(reason) };
}

/** A sentence for people and one-line places, made of words that may come from the guest. */
export function oneLine(text: string): string {
  return printable(text).replace(/\s+/g, " ").trim();
}

function verdictOn(facts: RunFacts): Verdict {
  const [crash] = facts.crashes;
  if (crash) return { kind: "crashed", reason: crashReason(crash) };
  if (facts.cancelled)
    return { kind: "cancelled", reason: `cancelled ${progressOf(facts.suites)}` };
  if (facts.loadFailure !== undefined)
    return { kind: "load-failed", reason: `the module was not loaded: ${facts.loadFailure}` };
  if (facts.infrastructure !== undefined)
    return { kind: "infrastructure-failed", reason: facts.infrastructure };
  const hanging = hangOf(facts);
  if (hanging !== undefined) return { kind: "hung", reason: hanging };
  const failure = failureOf(facts);
  if (failure !== undefined) return { kind: "failed", reason: failure };
  const passed = countOf(facts.suites, "passed");
  const skipped = countOf(facts.suites, "skipped");
  const rest = skipped === 0 ? "" : `, ${skipped} skipped`;
  return {
    kind: "passed",
    reason: `${plural(passed, "case")} in ${plural(withCases(facts.suites), "suite")} passed${rest}`,
  };
}

function crashReason(crash: Crash): string {
  const inCase = crash.case === undefined ? "" : `, case "${crash.case}"`;
  const source = sourceAtFault(crash);
  const at = source === undefined ? "" : ` (${source})`;
  return `the kernel crashed during ${crash.during}${inCase}: ${crash.title}${at}`;
}

function progressOf(suites: readonly SuiteResult[]): string {
  const stopped = suites.find((suite) => suite.ending === "cancelled");
  if (stopped) return `during suite ${stopped.name}, after ${plural(stopped.cases.length, "case")}`;
  const ended = suites.filter((suite) => suite.ending !== "notRun").length;
  return `after ${ended} of ${plural(suites.length, "suite")}`;
}

function hangOf({ hung, suites }: RunFacts): string | undefined {
  const stopped = suites.find(
    ({ ending }) => ending === "caseTimeout" || ending === "suiteTimeout",
  );
  if (stopped) {
    const running = stopped.cases.at(-1);
    const detail = running?.diagnostics.at(-1) ?? "";
    const also = hung === undefined ? "" : `; ${hung}`;
    return `suite ${stopped.name}, case "${running?.name ?? "?"}" hung: ${detail}${also}`;
  }
  return hung;
}

function failureOf({
  suites,
  moduleProblems,
  selection = everything,
}: RunFacts): string | undefined {
  const failed = suites.flatMap(({ cases }) => cases.filter((each) => isFailure(each.outcome)));
  const [first] = failed;
  if (first) {
    const more = failed.length === 1 ? "" : ` and ${failed.length - 1} more`;
    return `suite ${first.suite}, case "${first.name}" failed${detailOf(first)}${more}`;
  }
  const faulty = suites.find((suite) => suite.problems.length > 0);
  if (faulty) {
    const said = faulty.cases.length === 0 ? faulty.tail.at(-1) : undefined;
    return `suite ${faulty.name}: ${faulty.problems.join("; ")}${said ? ` (it said: ${said})` : ""}`;
  }
  if (suites.length === 0) return "no suite was run: a run with no case is not a pass";
  if (moduleProblems.length > 0) return moduleProblems.join("; ");
  const idle = suites.find((suite) => suite.ending === "notRun");
  if (idle) return `suite ${idle.name} was not run`;
  const [missed] = selectsCases(selection) ? unmatched(selection, suites) : [];
  if (missed !== undefined) return missed;
  if (countOf(suites, "passed") === 0)
    return `no case was run: ${plural(countOf(suites, "skipped"), "case")} skipped, none passed`;
  return undefined;
}

function detailOf(result: CaseResult): string {
  if (result.outcome === "timedOut") return " (timed out)";
  const last = result.diagnostics.at(-1);
  return last === undefined ? "" : ` (${last})`;
}

function countOf(suites: readonly SuiteResult[], outcome: CaseResult["outcome"]): number {
  return suites.flatMap((suite) => suite.cases).filter((each) => each.outcome === outcome).length;
}

function withCases(suites: readonly SuiteResult[]): number {
  return suites.filter(({ cases }) => cases.length > 0).length;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
