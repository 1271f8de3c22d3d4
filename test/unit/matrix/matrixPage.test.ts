import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { renderJunitOfCells } from "../../../lab/report/junit.ts";
import { matrixMarkdown } from "../../../matrix/matrixMarkdown.ts";
import { matrixPage } from "../../../matrix/matrixPage.ts";
import { matrixTable } from "../../../matrix/matrixTable.ts";
import { cellResult, matrixOutcome, runReport } from "./outcomes.ts";
import { anyCharacter } from "../anyCharacter.ts";

const hostile = `</pre><script src="https://evil/">alert(1)</script><img onerror='x'>&amp;\u001b[2J\u202e]]>`;
const suite = (text: string) => ({
  ...{ name: text, ending: "exited" as const, exitCode: 1, milliseconds: 1, problems: [text] },
  cases: [
    {
      ...{ suite: text, name: text, outcome: "failed" as const },
      milliseconds: 1,
      diagnostics: [text],
    },
  ],
  tail: [text],
});
const outcomeOf = (text: string) => {
  const report = runReport({
    verdict: "failed",
    reason: text,
    suites: [suite(text)],
    moduleProblems: [text],
  });
  const summary = {
    name: text,
    verdict: "failed" as const,
    passed: 0,
    failed: 1,
    skipped: 0,
    milliseconds: 1,
  };
  const result = cellResult("debian-12/6.1", "failed", {
    ...{ reason: text, kernelRelease: text, retried: text, left: text, suites: [summary] },
  });
  return matrixOutcome([{ result, report }]);
};

/** The names of elements and attributes of a page, of which nothing else may begin with "<". */
function markup(page: string): Set<string> {
  const names = new Set<string>();
  const rest = page
    .replace("<!DOCTYPE html>", "")
    .replace(
      /<(\/?[a-z][\w-]*)((?: [a-z-]+="[^"<]*")*)>/g,
      (_, name: string, attributes: string) => {
        names.add(name);
        for (const [, attribute = ""] of attributes.matchAll(/ ([a-z-]+)="/g))
          names.add(`@${attribute}`);
        return "";
      },
    );
  expect(rest).not.toContain("<");
  return names;
}

describe("the page of a matrix", () => {
  it("has nothing of a guest's words in its markup", () => {
    const page = matrixPage(outcomeOf(hostile));
    expect(page).not.toMatch(/<script|<img/);
    expect(page).toContain("&lt;script");
    expect(page).not.toContain("\u001b");
    expect(page).not.toContain("\u202e");
  });

  it("has the same elements and attributes whatever a guest says", () => {
    const usual = markup(matrixPage(outcomeOf("a case")));
    expect(usual).toContain("@class");
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter }), (text) => {
        for (const name of markup(matrixPage(outcomeOf(`x${text}`)))) expect(usual).toContain(name);
      }),
      { numRuns: 40 },
    );
  });

  it("shows cells side by side with what was missing in each", () => {
    const passed = {
      name: "file-system",
      verdict: "passed" as const,
      passed: 12,
      failed: 0,
      skipped: 0,
      milliseconds: 1,
    };
    const page = matrixPage(
      matrixOutcome([
        { result: cellResult("debian-12/6.1", "passed", { suites: [passed], kept: true }) },
        {
          result: cellResult("debian-12/6.12", "build-failed", {
            reason: "main.c:3:2: error: #error no",
          }),
        },
      ]),
    );
    expect(page).toContain("passed (kept)");
    expect(page).toContain("ok 12");
    expect(page).toContain("main.c:3:2: error: #error no");
  });
});

describe("a matrix elsewhere", () => {
  const cells = [
    { result: cellResult("debian-12/6.1", "passed") },
    {
      result: cellResult("debian-12/6.12", "build-failed", {
        reason: "main.c:3: error: \u001b[2J",
      }),
    },
  ];

  it("in the terminal moves no cursor and sums up", () => {
    const text = matrixTable(matrixOutcome(cells).result);
    expect(text).not.toContain("\u001b");
    expect(text).toContain("build-failed: main.c:3: error:");
    // 100 s of wall time for 160 s of processor time on 2 processors.
    expect(text).toContain("wall 1.25 × cells' processor time / 2");
  });

  it("in Markdown is text and nothing else", () => {
    const result = cellResult("a|b", "failed", { reason: "<script> [x](y) `z`" });
    const text = matrixMarkdown(matrixOutcome([{ result }]).result);
    expect(text).toContain("| a\\|b |");
    expect(text).toContain("&lt;script> \\[x\\](y) \\`z\\`");
  });

  it("in JUnit names the cell and is a failure where a cell is one", () => {
    const report = runReport({ suites: [{ ...suite("mount"), problems: [], cases: [] }] });
    const text = renderJunitOfCells("vexlab matrix", [
      { cell: "debian-12/6.1", report },
      {
        cell: "debian-12/6.12",
        verdict: "build-failed",
        reason: "<error>",
        startedAt: report.startedAt,
      },
    ]);
    expect(text).toContain('name="debian-12/6.1: mount"');
    expect(text).toContain('classname="debian-12/6.12: run"');
    expect(text).toContain('errors="1"');
    expect(text).toContain('message="&lt;error&gt;"');
  });
});
