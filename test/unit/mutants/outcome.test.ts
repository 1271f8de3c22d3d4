import { describe, expect, it } from "vitest";
import type { CaseResult, Crash, RunReport, SuiteResult } from "../../../lab/run/verdict.ts";
import {
  catchOf,
  caught,
  isTelling,
  suitesFor,
  summary,
  type Outcome,
  type Result,
} from "../../mutants/outcome.ts";
import type { Mutant } from "../../mutants/mutant.ts";

const result = (name: string, outcome: CaseResult["outcome"]): CaseResult => ({
  suite: "s",
  name,
  outcome,
  milliseconds: 1,
  diagnostics: [],
});
const suite = (name: string, given: Partial<SuiteResult> = {}): SuiteResult => ({
  name,
  cases: [],
  ending: "exited",
  exitCode: 0,
  milliseconds: 1,
  problems: [],
  tail: [],
  ...given,
});
const report = (verdict: RunReport["verdict"], ...suites: SuiteResult[]): RunReport =>
  ({ verdict, reason: "because", suites, crashes: [] }) as unknown as RunReport;
const crashed = (given: Partial<Crash>, ...suites: SuiteResult[]): RunReport => ({
  ...report("crashed", ...suites),
  crashes: [{ during: "it", ...given } as Crash],
});
const fine = suite("fine", { cases: [result("a", "passed")] });
const idle = suite("idle", { ending: "notRun" });

const mutant: Mutant = {
  name: "m",
  kind: "k",
  effect: "e",
  file: "f",
  patch: "p",
  smoke: { suite: "fine", name: "a" },
  caughtBy: [{ suite: "bad", name: "the right *" }],
};

describe("what a run has caught", () => {
  it.each<[string, RunReport, [string, string] | undefined]>([
    ["nothing", report("passed", fine), undefined],
    [
      "the first case that failed",
      report(
        "failed",
        fine,
        suite("bad", {
          ending: "stopped",
          cases: [result("a", "passed"), result("b", "failed"), result("c", "failed")],
        }),
        idle,
      ),
      ["bad", "b"],
    ],
    [
      "a case that hung",
      report("hung", suite("bad", { ending: "caseTimeout", cases: [result("b", "timedOut")] })),
      ["bad", "b"],
    ],
    [
      "the case during which the kernel died",
      report("crashed", fine, suite("bad", { ending: "crashed", underWay: "b" }), idle),
      ["bad", "b"],
    ],
    [
      "a crash that no case has noticed",
      crashed({ suite: "bad" }, suite("bad", { cases: [result("a", "passed")] }), idle),
      ["bad", "(the kernel's log)"],
    ],
    [
      "a crash during a case that passes all the same",
      crashed(
        { suite: "bad", case: "b" },
        suite("bad", { cases: [result("a", "passed"), result("b", "passed")] }),
      ),
      ["bad", "b"],
    ],
    [
      "a suite that is faulty as a whole",
      report("failed", suite("bad", { problems: ["no plan"] })),
      ["bad", "(the suite)"],
    ],
    [
      "a module that does not load",
      report("load-failed", fine, idle),
      ["idle", "(loading the module)"],
    ],
    ["a module that can't be unloaded", report("failed", fine, idle), ["fine", "(afterwards)"]],
    ["a guest that hangs between two suites", report("hung", fine, idle), ["fine", "(afterwards)"]],
  ])("%s", (_, of, found) => {
    const by = catchOf(of);
    expect(by && [by.suite, by.name]).toEqual(found);
  });

  it("is nothing to go by when the host has failed", () => {
    expect(isTelling(report("infrastructure-failed"))).toBe(false);
    expect(isTelling(report("cancelled"))).toBe(false);
    expect(isTelling(report("failed"))).toBe(true);
  });

  it("names the right thing, or another one", () => {
    const by = { suite: "bad", verdict: "failed", reason: "" } as const;
    const named = (name: string): Outcome => caught(mutant, { ...by, name });
    expect(named("the right one")).toMatchObject({ kind: "caught", isNamed: true });
    expect(named("another one")).toMatchObject({ kind: "caught", isNamed: false });
  });
});

describe("the suites for a mutant", () => {
  it("are those that it names, and then the others", () => {
    const suites = suitesFor(mutant, ["one", "bad", "two"]);
    expect(suites).toEqual({ named: ["bad"], others: ["one", "two"] });
  });
});

describe("the summary", () => {
  const of = (outcome: Outcome): Result => ({ mutant, outcome, seconds: 1 });
  const by = { suite: "bad", name: "x", verdict: "failed", reason: "" } as const;
  const good = of({ kind: "caught", by, isNamed: true });
  const others = [
    of({ kind: "caught", by, isNamed: false }),
    of({ kind: "escaped" }),
    of({ kind: "bad", why: "a warning" }),
    of({ kind: "unknown", why: "no guest" }),
  ];

  it("counts what is caught by a case that names the right thing", () => {
    const { line, table } = summary([good, ...others]);
    expect(line).toBe("caught 1 of 5");
    for (const word of ["caught by another case", "ESCAPED", "BAD MUTANT", "NOT JUDGED"])
      expect(table).toContain(word);
  });

  it.each([
    [24, 22, true],
    [24, 21, false],
    [36, 33, true],
    [36, 32, false],
    [1, 1, true],
    [1, 0, false],
    [0, 0, false],
  ])("of %i, %i are enough: %s", (all, count, isEnough) => {
    const escaped = of({ kind: "escaped" });
    const results = Array.from({ length: all }, (_, index) => (index < count ? good : escaped));
    expect(summary(results).isEnough).toBe(isEnough);
  });
});
