import { describe, expect, it } from "vitest";
import { closing, totalsOf } from "../totals.ts";

const file = (status: string, ...cases: string[]) => ({
  status,
  assertionResults: cases.map((each) => ({ status: each })),
});
const json = (...files: ReturnType<typeof file>[]): string =>
  JSON.stringify({ testResults: files });

describe("the totals of a project", () => {
  it("count cases, not those that were skipped", () => {
    const text = json(file("passed", "passed", "pending"), file("failed", "passed", "failed"));
    expect(totalsOf(text)).toEqual({ passed: 2, failed: 1 });
  });

  it("count a file that can't be loaded as a failure", () => {
    expect(totalsOf(json(file("failed")))).toEqual({ passed: 0, failed: 1 });
    expect(totalsOf(json(file("failed", "passed")))).toEqual({ passed: 1, failed: 1 });
  });

  it.each([undefined, "", "{", "{}"])("count missing results as a failure (%j)", (text) => {
    expect(totalsOf(text)).toEqual({ passed: 0, failed: 1 });
  });
});

describe("the closing line", () => {
  it("is the sum", () => {
    const sum = closing([
      { passed: 3, failed: 0 },
      { passed: 4, failed: 0 },
    ]);
    expect(sum).toEqual({ line: "7 passed, 0 failed", code: 0 });
  });

  it("ends with 1 when something failed, or nothing ran", () => {
    expect(closing([{ passed: 3, failed: 1 }])).toEqual({ line: "3 passed, 1 failed", code: 1 });
    expect(closing([{ passed: 0, failed: 0 }])).toEqual({ line: "0 passed, 0 failed", code: 1 });
  });
});
