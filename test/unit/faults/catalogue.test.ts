import { describe, expect, it } from "vitest";
import { parseManifest } from "../../../lab/config/manifest.ts";
import { stringify } from "yaml";
import { catalogue, faultNames } from "../../faults/catalogue.ts";
import { manifestOf, type Outcome } from "../../faults/faultLab.ts";
import type { Fault } from "../../faults/fault.ts";
import { judgeTold } from "../../faults/told.ts";
import { mixed as report } from "../lab/report/report.ts";

const fault: Fault = {
  ...{ name: "broken", kind: "test", what: "breaks", command: ["broken"], within: 10 },
  ...{ verdict: "failed", reason: /^case 2 failed$/ },
  on: { "6.12": { verdict: ["hung", "crashed"], reason: /.*/ } },
};

const outcome = (more: Partial<Outcome> = {}): Outcome => ({
  ...{ exitCode: 1, seconds: 5, terminal: "case 2 failed\n", files: {}, left: [], memory: "" },
  report: { ...report, verdict: "failed", exitCode: 1, reason: "case 2 failed", suites: [] },
  ...more,
});

const wrong = (more: Partial<Outcome> = {}, kernel = "6.1"): readonly string[] =>
  judgeTold(fault, outcome(more), kernel).wrong;

describe("the fault catalogue", () => {
  it("names each fault once, and none for which vexlab.yaml has no words", () => {
    expect(new Set(faultNames).size).toBe(faultNames.length);
    expect(catalogue.length).toBeGreaterThan(40);
    for (const each of catalogue) expect(parseManifest(stringify(manifestOf(each)))).toBeDefined();
  });

  it("says why a fault of the kernel may pass", () => {
    for (const each of catalogue.filter(({ kind }) => kind === "kernel"))
      if (each.verdict === "passed") expect(each.why).toBeDefined();
  });
});

describe("what was told of a fault", () => {
  it("is right when verdict, exit code, reason and time are", () => {
    expect(wrong()).toEqual([]);
  });

  it("is wrong without a report, with another verdict, reason or exit code", () => {
    expect(wrong({ report: undefined })).toEqual(["no report, exit code 1"]);
    expect(wrong({}, "6.12")).toEqual(["failed instead of hung or crashed: case 2 failed"]);
    const other = { ...report, verdict: "failed", exitCode: 1, reason: "another" } as const;
    expect(wrong({ report: other })).toEqual([
      "the reason does not fit /^case 2 failed$/: another",
    ]);
    expect(wrong({ exitCode: 0 })).toEqual(["exit code 0 for failed"]);
  });

  it("is wrong when gdb does not find it in memory", () => {
    const kept = { ...fault, inMemory: /broken_init/ };
    const told = (memory: string) => judgeTold(kept, outcome({ memory }), "6.1").wrong;
    expect(told("broken_init + 4")).toEqual([]);
    expect(told("")).toEqual(["gdb finds no /broken_init/ in memory: none is kept"]);
    expect(told("other")).toEqual(["gdb finds no /broken_init/ in memory: other"]);
  });

  it("is wrong without the retry that it is to have", () => {
    const killed = { ...fault, retried: /was killed/ };
    const retried = (reason: string) => {
      const again = { ...report, retried: [{ reason, suites: ["broken"] }] };
      const facts = { verdict: "failed", exitCode: 1, reason: "case 2 failed" } as const;
      return judgeTold(killed, outcome({ report: { ...again, ...facts } }), "6.1").wrong;
    };
    expect(retried("QEMU was killed")).toEqual([]);
    expect(retried("another")).toEqual(["no retry that fits /was killed/: another"]);
    expect(judgeTold(killed, outcome(), "6.1").wrong).toEqual([
      "no retry that fits /was killed/: none",
    ]);
  });

  it("is wrong when it came late, left something or could move a cursor", () => {
    expect(wrong({ seconds: 11 })).toEqual(["11.0 s instead of at most 10 s"]);
    expect(wrong({ left: ["process 7"] })).toEqual(["left over: process 7"]);
    expect(wrong({ files: { junit: "\u009b2J" }, terminal: "\u001b[2J" })).toEqual([
      "a terminal's control character in junit",
      "a terminal's control character in terminal",
    ]);
  });
});
