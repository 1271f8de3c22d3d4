import { describe, expect, it } from "vitest";
import { outputLines } from "../../../cli/stackRun.ts";
import { outcomeOf } from "../../../toolchain/outcome.ts";
import { ExitCode } from "../../../lab/config/errors.ts";
import type { LastVerdict } from "../../../lab/run/lastVerdict.ts";

const verdict = (kind: LastVerdict["verdict"], exitCode: LastVerdict["exitCode"]): LastVerdict => ({
  runId: "1",
  verdict: kind,
  exitCode,
  reason: `because it ${kind}`,
  at: "2026-01-02T03:04:05Z",
});
const ended = (exitCode: number | null, cancelled = false) => ({ exitCode, cancelled });
const fault = { exitCode: ExitCode.usage, message: "stack dev: 1 mistake" };

describe("what a run of Pulumi ends with", () => {
  it.each([
    ["Pulumi's success", ended(0), undefined, undefined, 0],
    ["a reported failure, where that is no failure", ended(0), undefined, verdict("failed", 1), 0],
    ["the verdict's code", ended(255), undefined, verdict("crashed", 4), 4],
    ["the program's own error before a verdict", ended(255), fault, verdict("failed", 1), 2],
    ["3 when nobody knows why", ended(255), undefined, undefined, 3],
    [
      "3 when Pulumi failed after the tests had passed",
      ended(1),
      undefined,
      verdict("passed", 0),
      3,
    ],
    ["3 when Pulumi was killed", ended(null), undefined, undefined, 3],
    ["130 when the user stopped it", ended(255, true), fault, verdict("failed", 1), 130],
    ["130 even when Pulumi came to its end", ended(0, true), undefined, undefined, 130],
  ])("is %s", (_, end, left, last, code) => {
    expect(outcomeOf(end, left, last).exitCode).toBe(code);
  });

  it("is a provider's hang only when nothing else says why Pulumi failed", () => {
    const why = "the libvirt provider did not end create of iso within 90 s";
    const stalled = { exitCode: 3, reason: why, stalled: true };
    expect(outcomeOf(ended(255), undefined, undefined, why)).toEqual(stalled);
    expect(outcomeOf(ended(0), undefined, undefined, why)).toEqual({ exitCode: 0 });
    const others = [
      outcomeOf(ended(255, true), undefined, undefined, why),
      outcomeOf(ended(255), fault, undefined, why),
      outcomeOf(ended(255), undefined, verdict("failed", 1), why),
    ];
    expect(others.map(({ exitCode }) => exitCode)).toEqual([130, 2, 1]);
    for (const other of others) expect(other).not.toHaveProperty("stalled");
  });

  it("names a reason only when Pulumi has not told it", () => {
    expect(outcomeOf(ended(255), fault, undefined)).not.toHaveProperty("reason");
    expect(outcomeOf(ended(255), undefined, verdict("hung", 5)).reason).toBe("because it hung");
    expect(outcomeOf(ended(null), undefined, undefined)).toMatchObject({
      ...{ reason: "pulumi was killed", killed: true },
    });
  });
});

it("shows a stack's outputs aligned", () => {
  expect(outputLines({ ssh: "ssh -p 2222 vexfs@127.0.0.1", verdict: { kind: "passed" } })).toEqual([
    "  ssh      ssh -p 2222 vexfs@127.0.0.1",
    '  verdict  {"kind":"passed"}',
  ]);
  expect(outputLines({})).toEqual([]);
});
