import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mergeOutcomes } from "../../../../lab/run/mergeOutcomes.ts";
import { bareReport } from "../../../../lab/console/crashReport.ts";
import { judge } from "../../../../lab/run/judge.ts";
import type { RunOutcome } from "../../../../lab/run/runSuites.ts";
import type { CaseOutcome, SuiteResult, VerdictKind } from "../../../../lab/run/verdict.ts";

/** As docs/verdicts.md has them. */
const gravestFirst: readonly VerdictKind[] = [
  "crashed",
  "cancelled",
  "build-failed",
  "load-failed",
  "infrastructure-failed",
  "hung",
  "failed",
  "passed",
];

function suite(name: string, outcomes: readonly CaseOutcome[]): SuiteResult {
  const cases = outcomes.map((outcome, index) => ({
    ...{ suite: name, name: `case ${index + 1}`, outcome, milliseconds: 1, diagnostics: [] },
  }));
  const ended = { ending: "exited", exitCode: 0, milliseconds: 1 } as const;
  return { name, cases, ...ended, problems: [], tail: [] };
}

/** A part that ended by its cases. */
function part(name: string, outcomes: readonly CaseOutcome[]): RunOutcome {
  const facts = { suites: [suite(name, outcomes)], moduleProblems: [], crashes: [] };
  return { verdict: judge({ ...facts, cancelled: false }), ...facts, kernelRelease: "6.1.0-test" };
}

/** A part that ended otherwise. */
function ended(kind: VerdictKind, name = "x"): RunOutcome {
  return { ...part(name, ["passed"]), verdict: { kind, reason: `${name} ${kind}` } };
}

describe("the outcome of several parts", () => {
  it("counts all cases when all passed", () => {
    const parts = [part("a", ["passed", "passed"]), part("b", ["passed", "skipped"])];
    expect(mergeOutcomes(parts).verdict).toEqual({
      kind: "passed",
      reason: "3 cases in 2 suites passed, 1 skipped",
    });
  });

  it("is what the same suites in one guest come to", () => {
    const outcomes = fc.array(fc.constantFrom<CaseOutcome>("passed", "failed", "skipped"), {
      maxLength: 3,
    });
    fc.assert(
      fc.property(fc.array(outcomes, { maxLength: 4 }), (suites) => {
        const parts = suites.map((cases, index) => part(`s${index}`, cases));
        const together = parts.flatMap((each) => each.suites);
        const facts = { suites: together, moduleProblems: [], crashes: [], cancelled: false };
        expect(mergeOutcomes(parts).verdict).toEqual(judge(facts));
      }),
    );
  });

  it("passes with a suite that skipped everything, beside one that passed", () => {
    const parts = [part("a", ["passed"]), part("b", ["skipped"])];
    expect(parts[1]?.verdict.kind).toBe("failed");
    expect(mergeOutcomes(parts).verdict.kind).toBe("passed");
  });

  it("is the gravest of them, with the reason of the first such", () => {
    const kinds = fc.array(fc.constantFrom(...gravestFirst.slice(0, 6)), { minLength: 1 });
    fc.assert(
      fc.property(kinds, (some) => {
        const gravest = gravestFirst.find((kind) => some.includes(kind));
        const parts = some.map((kind, index) => ended(kind, `s${index}`));
        const { verdict } = mergeOutcomes([part("bad", ["failed"]), ...parts]);
        expect(verdict).toEqual({
          kind: gravest,
          reason: `s${some.findIndex((kind) => kind === gravest)} ${gravest ?? ""}`,
        });
      }),
    );
  });

  it("has everything of all parts in their order, and the kernel of one that reached it", () => {
    const crash = { ...bareReport("bug", "BUG: a"), during: "suite a" };
    const first = { ...ended("crashed", "a"), kernelRelease: "", crashes: [crash] };
    const second = { ...ended("passed", "b"), moduleProblems: ["b stays"] };
    const merged = mergeOutcomes([first, second]);
    expect(merged.suites.map(({ name }) => name)).toEqual(["a", "b"]);
    expect(merged).toMatchObject({
      crashes: [crash],
      moduleProblems: ["b stays"],
      kernelRelease: "6.1.0-test",
    });
  });

  it("of none is no pass", () => {
    expect(mergeOutcomes([])).toMatchObject({ verdict: { kind: "failed" }, kernelRelease: "" });
  });
});
