import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { casesOf, missingNumbers, problemsOf } from "../../../../lab/run/cases.ts";
import {
  KtapParser,
  longestLine,
  parseKtap,
  type KtapLevel,
  type KtapResult,
} from "../../../../lab/run/ktap.ts";
import { anyCharacter } from "../../anyCharacter.ts";

const lines = (...all: string[]): string => all.map((line) => `${line}\n`).join("");
const outcomes = (text: string): string[] =>
  casesOf(parseKtap(text)).map((each) => `${each.outcome} ${each.name}`);
const problems = (text: string): string[] => problemsOf(parseKtap(text));

describe("well-formed output", () => {
  it("gives names, outcomes and the diagnostics before each line", () => {
    const text = lines(
      "KTAP version 1",
      "1..3",
      "mke2fs 1.47.0",
      "# formatting /dev/vdb",
      "ok 1 mkfs",
      "# expected 5",
      "# got 4",
      "not ok 2 - read back # wrong length",
      "ok 3 unmount",
    );
    expect(casesOf(parseKtap(text))).toMatchObject([
      { name: "mkfs", outcome: "passed", diagnostics: ["formatting /dev/vdb"] },
      {
        name: "read back",
        outcome: "failed",
        diagnostics: ["expected 5", "got 4", "wrong length"],
      },
      { name: "unmount", outcome: "passed", diagnostics: [] },
    ]);
    expect(problems(text)).toEqual([]);
  });

  it.each([
    ["ok 1 a # SKIP no device", "skipped"],
    ["not ok 1 a # SKIP no device", "skipped"],
    ["ok 1 a # skipped: no device", "skipped"],
    ["not ok 1 a # TODO later", "skipped"],
    ["ok 1 a # TODO later", "passed"],
    ["not ok 1 a # XFAIL known", "skipped"],
    ["not ok 1 a # TIMEOUT 45 seconds", "timedOut"],
    ["ok 1 a # TIMEOUT 45 seconds", "timedOut"],
    ["not ok 1 a # ERROR no memory", "failed"],
    ["ok 1 a # ERROR no memory", "failed"],
    ["ok 1 a # TODOS are many", "passed"],
    ["not ok 1 a # timeouts=3", "failed"],
    ["ok 1 a", "passed"],
    ["not ok 1 a", "failed"],
  ])("%s -> %s", (line, outcome) => {
    expect(outcomes(lines("KTAP version 1", "1..1", line))).toEqual([`${outcome} a`]);
  });

  it("keeps a hash that is part of a name", () => {
    const text = lines("TAP version 14", "1..2", "ok 1 issue#12", "ok 2 C \\# and D");
    expect(outcomes(text)).toEqual(["passed issue#12", "passed C # and D"]);
  });

  it("takes a plan at the end, carriage returns and a last line without newline", () => {
    expect(problems("TAP version 13\r\nok 1 a\r\nok 2 b\r\n1..2")).toEqual([]);
  });

  it("reads KUnit's nesting by four columns and the kernel doc's by two", () => {
    const nested = (pad: string): string =>
      lines(
        "KTAP version 1",
        "1..2",
        `${pad}KTAP version 1`,
        `${pad}# Subtest: list`,
        `${pad}1..2`,
        `${pad}ok 1 add`,
        `${pad}# list: EXPECTATION FAILED`,
        `${pad}not ok 2 remove`,
        "# list: pass:1 fail:1",
        "not ok 1 list",
        "ok 2 alone",
      );
    for (const pad of ["  ", "    "]) {
      expect(outcomes(nested(pad))).toEqual([
        "passed list / add",
        "failed list / remove",
        "passed alone",
      ]);
      expect(problems(nested(pad))).toEqual([]);
      expect(casesOf(parseKtap(nested(pad)))[1]?.diagnostics).toEqual(["list: EXPECTATION FAILED"]);
    }
  });

  it("counts a parent that failed although its subtests passed", () => {
    const text = lines("1..1", "  1..1", "  ok 1 child", "not ok 1 parent");
    expect(outcomes(text)).toEqual(["passed parent / child", "failed parent"]);
  });

  it("takes a YAML block for diagnostics of the line above it", () => {
    const text = lines(
      "TAP version 14",
      "1..2",
      "not ok 1 a",
      "  ---",
      "  got: ok 2",
      "  ...",
      "ok 2 b",
    );
    expect(outcomes(text)).toEqual(["failed a", "passed b"]);
    expect(casesOf(parseKtap(text))[0]?.diagnostics).toEqual(["got: ok 2"]);
  });

  it("takes 1..0 with SKIP for a skipped suite", () => {
    const text = lines("TAP version 13", "1..0 # SKIP needs a camera");
    expect(outcomes(text)).toEqual(["skipped (whole suite)"]);
    expect(problems(text)).toEqual([]);
  });
});

describe("output that must never pass silently", () => {
  it.each<[string, string[], RegExp]>([
    ["nothing at all", [], /reported no case/],
    ["only log lines", ["starting", "done"], /reported no case/],
    ["a plan of none", ["KTAP version 1", "1..0"], /announces no case/],
    ["no plan", ["KTAP version 1", "ok 1 a"], /no plan line: 1 result came/],
    [
      "too few results",
      ["1..5", "ok 1 a", "ok 2 b", "ok 3 c"],
      /announces 5 cases, 3 results came: 4-5 missing/,
    ],
    ["a hole", ["1..3", "ok 1 a", "ok 3 c"], /announces 3 cases, 2 results came: 2 missing/],
    ["too many results", ["1..1", "ok 1 a", "ok 2 b"], /result 2 is beyond the plan 1\.\.1/],
    ["too many without numbers", ["TAP version 13", "1..1", "ok", "ok"], /1 case, 2 results came/],
    ["a number twice", ["1..2", "ok 1 a", "ok 1 a"], /result 1 comes a second time/],
    ["swapped numbers", ["1..2", "ok 2 b", "ok 1 a"], /result 2 came where 1 was expected/],
    ["a result without number", ["KTAP version 1", "1..1", "ok a"], /result line 1 has no number/],
    ["two plans", ["1..1", "ok 1 a", "1..1"], /a second plan line/],
    ["two outputs in one", ["TAP version 13", "1..1", "ok 1 a", "TAP version 13"], /two outputs/],
    ["a bail out", ["1..2", "ok 1 a", "Bail out! no disk"], /bailed out: no disk/],
    ["subtests cut short", ["1..1", "  1..1", "  ok 1 child"], /no result line of their own/],
    [
      "a nested plan not met",
      ["1..1", "  1..2", "  ok 1 child", "ok 1 parent"],
      /^parent: the plan announces 2 cases/,
    ],
  ])("%s", (_, text, problem) => {
    expect(problems(lines(...text)).join("\n")).toMatch(problem);
  });

  it("does not lose an indented failure that has no header", () => {
    expect(outcomes(lines("1..1", "  not ok 1 child", "ok 1 parent"))).toContain(
      "failed parent / child",
    );
  });

  it.each(["\r", "\u2028", "\u2029"])("does not lose a line that holds %j", (character) => {
    const text = `1..2\nok 1 one${character}two # SKIP a${character}b\nnot ok 2 a${character}b\n`;
    const { top } = parseKtap(text);
    expect(top.results.map(({ ok, description }) => [ok, description])).toEqual([
      [true, `one${character}two`],
      [false, `a${character}b`],
    ]);
    expect(top.results[0]?.directive).toEqual({ kind: "SKIP", reason: `a${character}b` });
    const bailed = parseKtap(`1..1\nBail out! a${character}b\n`);
    expect(bailed.bailOut).toBe(`a${character}b`);
  });

  it("does not count what comes after a bail out", () => {
    expect(outcomes(lines("1..2", "ok 1 a", "Bail out!", "ok 2 b"))).toEqual(["passed a"]);
  });

  it("cuts a line that never ends and goes on with the next", () => {
    const text = lines("1..1", "x".repeat(longestLine * 3), "ok 1 a");
    expect(outcomes(text)).toEqual(["passed a"]);
    expect(problems(text)).toEqual([]);
    const kept = new KtapParser().push(text).filter((event) => event.kind === "log");
    expect(kept.map((event) => event.text.length)).toEqual([longestLine]);
  });

  it("names missing numbers as ranges, even in an absurd plan", () => {
    expect(missingNumbers([], 999_999_999)).toEqual(["1-999999999"]);
  });
});

/** Writes a tree as its suite would: diagnostics, subtests, then the result line. */
function render(level: KtapLevel, indent = ""): string {
  const header = lines(`${indent}KTAP version 1`, `${indent}1..${level.results.length}`);
  const body = level.results.map((result) => {
    const nested = result.subtests ? render(result.subtests, `${indent}  `) : "";
    const diagnostics = result.diagnostics.map((text) => `${indent}# ${text}\n`).join("");
    const directive = result.directive
      ? ` # ${result.directive.kind}${result.directive.reason === "" ? "" : ` ${result.directive.reason}`}`
      : "";
    const dash = result.description === "" ? "" : ` ${result.description}`;
    return `${nested}${diagnostics}${indent}${result.ok ? "ok" : "not ok"} ${result.number}${dash}${directive}\n`;
  });
  return header + body.join("");
}

const word = fc.stringMatching(/^[a-z][A-Za-z0-9_.:/=-]{0,12}$/);
const phrase = fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join(" "));
const description = fc.oneof(fc.constant(""), phrase);
const { levels } = fc.letrec<{ levels: KtapLevel; results: KtapResult }>((tie) => ({
  results: fc.record({
    ok: fc.boolean(),
    number: fc.constant(0),
    description,
    directive: fc.option(
      fc.record({
        kind: fc.constantFrom("SKIP", "TODO", "XFAIL", "TIMEOUT", "ERROR"),
        reason: description,
      }),
      { nil: undefined },
    ),
    diagnostics: fc.array(phrase, { maxLength: 3 }),
    subtests: fc.option(tie("levels"), { nil: undefined, maxDepth: 2, depthSize: "small" }),
  }),
  levels: fc.array(tie("results"), { minLength: 1, maxLength: 4 }).map((results) => ({
    version: "KTAP version 1",
    plan: results.length,
    skipAll: undefined,
    results: results.map((result, index) => ({ ...result, number: index + 1 })),
    orphans: undefined,
    trailing: [],
    problems: [],
  })),
}));

describe("an output that goes too far", () => {
  it("is not read beyond what fits into the memory, and fails", () => {
    const parser = new KtapParser();
    const chunk = "ok 1 x\n".repeat(10_000);
    for (let chunks = 0; chunks < 20; chunks++) parser.push(chunk);
    const { document } = parser.end();
    expect(document.top.results.length).toBeGreaterThan(100_000);
    expect(document.top.results.length).toBeLessThan(140_000);
    expect(problemsOf(document)[0]).toMatch(/reports more than is kept/);
  });

  it("counts diagnostics, too", () => {
    const parser = new KtapParser();
    const lines = `# ${"x".repeat(16_000)}\n`.repeat(200);
    for (let results = 1; results <= 50; results++) parser.push(`${lines}ok ${results} x\n`);
    const { document } = parser.end();
    expect(document.top.results.length).toBeLessThan(25);
    expect(problemsOf(document)[0]).toMatch(/reports more than is kept/);
    const yaml = new KtapParser();
    const block = `  ---\n${`  ${"x".repeat(16_000)}\n`.repeat(200)}  ...\n`;
    for (let results = 1; results <= 50; results++) yaml.push(`ok ${results} x\n${block}`);
    expect(yaml.end().document.top.results.length).toBeLessThan(25);
  });

  it("may be nested ever deeper: names stay short, and nothing overflows", () => {
    const name = "n".repeat(1000);
    const deep = Array.from({ length: 6000 }, (_, depth) => `${" ".repeat(depth)}ok 1 ${name}`);
    const document = parseKtap(lines(...deep, ...deep.toReversed()));
    for (const each of casesOf(document)) expect(each.name.length).toBeLessThan(1025);
    for (const problem of problemsOf(document)) expect(problem.length).toBeLessThan(2000);
  });

  it("has few of its faults told", () => {
    const nested = lines("  1..1", "  1..1", "  1..1", "ok 1 x").repeat(500);
    expect(problems(nested)).toHaveLength(101);
    const version = `KTAP version ${"1".repeat(9000)}`;
    for (const problem of problems(lines(version, version)))
      expect(problem.length).toBeLessThan(300);
  });
});

describe("properties", () => {
  it("parses what was rendered back to the same tree, without problems", () => {
    fc.assert(
      fc.property(levels, (level) => {
        const document = parseKtap(render(level));
        expect(document).toEqual({ top: level, bailOut: undefined });
        expect(problemsOf(document)).toEqual([]);
      }),
    );
  });

  it("names every missing result when a rendered output is cut short", () => {
    fc.assert(
      fc.property(levels, fc.nat(), (level, seed) => {
        const all = render(level).split("\n").slice(0, -1);
        const cut = all.slice(0, seed % all.length);
        expect(problems(lines(...cut))).not.toEqual([]);
      }),
    );
  });

  const ktapLike = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          "KTAP version 1",
          "1..2",
          "1..0 # SKIP",
          "  1..1",
          "  ok 1 x",
          "ok",
          "  ---",
        ),
        fc.constantFrom("not ok 2 y # TODO", "# d", "    # Subtest: s", "Bail out!", "  ...", "\r"),
        fc.string(),
        fc.string({ unit: anyCharacter }),
      ),
    )
    .map((all) => all.join("\n"));

  it("gives the same events and tree however the text is cut into chunks", () => {
    fc.assert(
      fc.property(ktapLike, fc.array(fc.integer({ min: 1, max: 9 })), (text, sizes) => {
        const whole = new KtapParser();
        const events = whole.push(text);
        const ended = whole.end();
        const cut = new KtapParser();
        const cutEvents = [];
        let from = 0;
        for (const size of sizes) {
          cutEvents.push(...cut.push(text.slice(from, from + size)));
          from += size;
        }
        cutEvents.push(...cut.push(text.slice(from)));
        const cutEnded = cut.end();
        expect(cutEnded.document).toEqual(ended.document);
        expect([...cutEvents, ...cutEnded.events]).toEqual([...events, ...ended.events]);
      }),
    );
  });

  it("never throws, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), ktapLike, (bytes, text) => {
        const document = parseKtap(new TextDecoder().decode(bytes) + text);
        casesOf(document);
        problemsOf(document);
      }),
    );
  });

  it("finds no pass in an output without result lines", () => {
    fc.assert(
      fc.property(ktapLike, (text) => {
        const document = parseKtap(text);
        if (casesOf(document).every((each) => each.outcome !== "passed")) return;
        expect(text).toMatch(/ok/);
      }),
    );
  });
});
