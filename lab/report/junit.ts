/**
 * junit.xml, for CI systems: one testsuite a suite, one testcase a case. What of it is shown where:
 * GitLab's "Unit test reports" (the content of failure, error and skipped, never their attributes; of
 * cases with one name the first), the parsers of GitHub's actions (the message, then the content).
 * docs/junit.xsd is the schema.
 */
import { create } from "xmlbuilder2";
import { isFailure } from "../run/cases.ts";
import { printable } from "./progress.ts";
import { writeWhole } from "./wholeFile.ts";
import { decodedLines } from "../console/sourceLines.ts";
import type { CaseResult, Crash, Hang, RunReport, SuiteResult } from "../run/verdict.ts";

/** A failure, an error or a skip: what it is told with, and for readers of one line, its last word. */
interface Remark {
  readonly kind: "failure" | "error" | "skipped";
  readonly message: string;
  readonly type?: string;
  readonly lines: readonly string[];
}

interface Testcase {
  readonly name: string;
  readonly seconds: number;
  readonly properties?: readonly Property[];
  readonly remark?: Remark;
  readonly output?: readonly string[];
}

interface Testsuite {
  readonly name: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly seconds: number;
  readonly properties: readonly Property[];
  readonly cases: readonly Testcase[];
}

type Property = readonly [name: string, value: string];

/**
 * The text of junit.xml. What is wrong with a suite as a whole, and a verdict that no case explains
 * (a crash, a module that doesn't load), becomes a testcase of its own with an error, because
 * readers of JUnit look at nothing else.
 */
export function renderJunit(report: RunReport): string {
  return render(`vexlab ${report.stack}`, testsuitesOf(report));
}

/** One of several runs in a file: its cell, and what came of it where nothing was run. */
export type CellReport = { readonly cell: string } & (
  | { readonly report: RunReport }
  | { readonly verdict: string; readonly reason: string; readonly startedAt: string }
);

/** The text of junit.xml for several runs, each suite with the name of its cell before its own. */
export function renderJunitOfCells(name: string, cells: readonly CellReport[]): string {
  const suites = cells.flatMap((each) => {
    const own = "report" in each ? testsuitesOf(each.report) : [verdictOf(each)];
    return own.map((suite) => ({ ...suite, name: `${each.cell}: ${suite.name}` }));
  });
  return render(name, suites);
}

function testsuitesOf(report: RunReport): Testsuite[] {
  const suites = report.suites.map((suite) => testsuiteOf(suite, report));
  if (report.verdict === "passed" || report.suites.some((suite) => showsFailure(suite, report)))
    return suites;
  const crashes = report.crashes.flatMap(crashLines);
  const lines = [...report.moduleProblems, ...crashes, ...hangLines(report.hangs ?? [])];
  return [...suites, verdictOf(report, lines)];
}

function render(name: string, suites: readonly Testsuite[]): string {
  // The schema of Jenkins' xunit plugin has skips counted by suite only.
  const { tests, failures, errors } = countsOf(suites.flatMap(({ cases }) => cases));
  const root = create({ version: "1.0", encoding: "UTF-8" }).ele("testsuites", {
    name: xmlText(name),
    ...{ tests, failures, errors },
    time: timeOf(suites.reduce((sum, { seconds }) => sum + seconds, 0)),
  });
  for (const suite of suites) addSuite(root, suite);
  return root.end({ prettyPrint: true });
}

export async function writeJunit(file: string, report: RunReport): Promise<void> {
  await writeWhole(file, renderJunit(report));
}

function testsuiteOf(suite: SuiteResult, report: RunReport): Testsuite {
  const hangs = (report.hangs ?? []).filter((hang) => hang.suite === suite.name);
  const cases = suite.cases.map((each) => testcaseOf(each, hangs));
  if (suite.problems.length > 0)
    cases.push(
      error("(suite)", suite.problems.join("; "), "suite", [...suite.tail, ...hangLines(hangs)]),
    );
  for (const crash of crashesOf(suite, report)) {
    const name = crash.case === undefined ? "(kernel)" : `(kernel) ${crash.case}`;
    cases.push(error(name, crash.title, crash.kind, decodedLines(crash)));
  }
  if (suite.ending === "notRun")
    cases.push({ name: "(suite)", seconds: 0, remark: skip("the suite was not run") });
  const retried = (report.retried ?? []).filter(({ suites }) => suites.includes(suite.name));
  const properties: Property[] = [
    ["kernelRelease", report.kernelRelease],
    ["imageId", report.imageId],
    ["sourceHash", report.sourceHash],
    ...(report.kernelPackage === undefined ? [] : packageOf(report.kernelPackage)),
    ...(report.seed === undefined ? [] : [["seed", `${report.seed}`] as const]),
    ...retried.map(({ reason }) => ["retried", reason] as const),
  ];
  const { startedAt } = report;
  return { name: suite.name, startedAt, seconds: suite.milliseconds / 1000, properties, cases };
}

const packageOf = (kernel: NonNullable<RunReport["kernelPackage"]>): Property[] => [
  ["kernelPackage", kernel.name],
  ["kernelVersion", kernel.version],
  ["kernelSuite", kernel.suite],
];

/** For a verdict that no suite shows. */
function verdictOf(
  { verdict, reason, startedAt }: Pick<RunReport, "reason" | "startedAt"> & { verdict: string },
  lines: readonly string[] = [],
): Testsuite {
  const cases = [error("verdict", reason, verdict, lines)];
  return { name: "run", startedAt, seconds: 0, properties: [], cases };
}

function testcaseOf(each: CaseResult, hangs: readonly Hang[]): Testcase {
  const measures = (each.measures ?? []).map(
    ({ name, value, unit }) => [`measure.${name}`, `${value} ${unit}`] as const,
  );
  const result = {
    name: each.name,
    seconds: each.milliseconds / 1000,
    properties: [...(each.tags ?? []).map((tag) => ["tag", tag] as const), ...measures],
  };
  switch (each.outcome) {
    case "failed":
    case "timedOut": {
      const evidence = each.outcome === "timedOut" ? hangLines(hangs) : [];
      const lines = [...each.diagnostics, ...evidence];
      const message = each.diagnostics.at(-1) ?? each.directive ?? "not ok";
      return { ...result, remark: { kind: "failure", message, type: each.outcome, lines } };
    }
    case "skipped":
      return { ...result, remark: skip(each.directive ?? "SKIP"), output: each.diagnostics };
    case "passed":
      return { ...result, output: each.diagnostics };
  }
}

/** A testcase that is none of the suite's. */
function error(name: string, message: string, type: string, lines: readonly string[]): Testcase {
  return { name, seconds: 0, remark: { kind: "error", message, type, lines: [message, ...lines] } };
}

function skip(message: string): Remark {
  return { kind: "skipped", message, lines: [message] };
}

type Element = ReturnType<typeof create>;

/** Where a text is empty that a reader expects. */
const nothing = "(nothing)";

function addSuite(root: Element, suite: Testsuite): void {
  const element = root.ele("testsuite", {
    name: xmlText(suite.name),
    // ISO 8601 in UTC, without the zone, which schemas derived from Ant's don't allow.
    timestamp: new Date(suite.startedAt).toISOString().slice(0, "2026-11-22T16:35:12".length),
    time: timeOf(suite.seconds),
    ...countsOf(suite.cases),
  });
  addProperties(element, suite.properties);
  const names = new Set<string>();
  for (const each of suite.cases) addCase(element, suite.name, each, names);
}

/** @param names those that the suite's cases have so far; this one's is added */
function addCase(suite: Element, classname: string, each: Testcase, names: Set<string>): void {
  const { seconds, properties = [], remark, output = [] } = each;
  const wanted = xmlText(each.name) || nothing;
  let name = wanted;
  for (let number = 2; names.has(name); number++) name = `${wanted} (${number})`;
  names.add(name);
  const element = suite.ele("testcase", {
    classname: xmlText(classname),
    name,
    time: timeOf(seconds),
  });
  addProperties(element, properties);
  if (remark !== undefined) {
    const { kind, type } = remark;
    const message = xmlText(remark.message) || nothing;
    const attributes = { message, ...(type !== undefined && { type }) };
    element.ele(kind, attributes).txt(xmlText(remark.lines.join("\n")) || message);
  }
  const said = xmlText(output.join("\n"));
  if (said !== "") element.ele("system-out").txt(said);
}

function addProperties(element: Element, properties: readonly Property[]): void {
  if (properties.length === 0) return;
  const list = element.ele("properties");
  for (const [name, value] of properties)
    list.ele("property", { name: xmlText(name), value: xmlText(value) });
}

function countsOf(cases: readonly Testcase[]): {
  readonly tests: string;
  readonly failures: string;
  readonly errors: string;
  readonly skipped: string;
} {
  const count = (kind: Remark["kind"]): string =>
    `${cases.filter(({ remark }) => remark?.kind === kind).length}`;
  return {
    tests: `${cases.length}`,
    failures: count("failure"),
    errors: count("error"),
    skipped: count("skipped"),
  };
}

/** Seconds, as XML's decimal. */
const timeOf = (seconds: number): string => `${Math.round(seconds * 1000) / 1000}`;

/** Whether a reader of JUnit sees from this suite that the run did not pass. */
function showsFailure(suite: SuiteResult, report: RunReport): boolean {
  return (
    suite.problems.length > 0 ||
    crashesOf(suite, report).length > 0 ||
    suite.cases.some((each) => isFailure(each.outcome))
  );
}

function crashesOf(suite: SuiteResult, { crashes }: RunReport): Crash[] {
  return crashes.filter((crash) => crash.suite === suite.name);
}

/** What the kernel did, with a title for each. */
function hangLines(hangs: readonly Hang[]): string[] {
  return hangs.flatMap((hang) => [hang.title, ...decodedLines(hang)]);
}

/** The title, then the report. */
function crashLines(crash: Crash): string[] {
  return [crash.title, ...decodedLines(crash)];
}

// XML 1.0 has no way to write most control characters, lone surrogates and U+FFFE/U+FFFF.
const notXml =
  /[\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

function xmlText(text: string): string {
  return printable(text).replace(notXml, "\ufffd");
}
