/** junit.xml, for CI systems: one testsuite a suite, one testcase a case. */
import junit, { type Builder, type TestSuite } from "junit-report-builder";
import { isFailure } from "../run/cases.ts";
import { printable } from "./progress.ts";
import { writeWhole } from "./wholeFile.ts";
import { decodedLines } from "../console/sourceLines.ts";
import type { CaseResult, Crash, Hang, RunReport, SuiteResult } from "../run/verdict.ts";

// The package's types say "export default" where its code says "module.exports =".
const builder = junit as unknown as Builder;

/**
 * The text of junit.xml. What is wrong with a suite as a whole, and a verdict that no case explains
 * (a crash, a module that doesn't load), becomes a testcase of its own with an error, because
 * readers of JUnit look at nothing else.
 */
export function renderJunit(report: RunReport): string {
  const root = builder.newBuilder().name(`vexlab ${report.stack}`);
  addReport(root, report);
  return root.build();
}

/** One of several runs in a file: its cell, and what came of it where nothing was run. */
export type CellReport = { readonly cell: string } & (
  | { readonly report: RunReport }
  | { readonly verdict: string; readonly reason: string; readonly startedAt: string }
);

/** The text of junit.xml for several runs, each suite with the name of its cell before its own. */
export function renderJunitOfCells(name: string, cells: readonly CellReport[]): string {
  const root = builder.newBuilder().name(xmlText(name));
  for (const each of cells) {
    const cell = `${xmlText(each.cell)}: `;
    if ("report" in each) {
      addReport(root, each.report, cell);
      continue;
    }
    root
      .testSuite()
      .name(`${cell}run`)
      .timestamp(new Date(each.startedAt))
      .testCase()
      .className(`${cell}run`)
      .name("verdict")
      .time(0)
      .error(xmlText(each.reason), each.verdict, xmlText(each.reason));
  }
  return root.build();
}

function addReport(root: Builder, report: RunReport, cell = ""): void {
  for (const suite of report.suites) addSuite(root, suite, report, cell);
  if (report.verdict !== "passed" && !report.suites.some((suite) => showsFailure(suite, report))) {
    const run = root.testSuite().name(`${cell}run`).timestamp(new Date(report.startedAt));
    const crashes = report.crashes.flatMap(crashLines);
    const hangs = hangLines(report.hangs ?? []);
    const details = [...report.moduleProblems, ...crashes, ...hangs].map(xmlText).join("\n");
    run
      .testCase()
      .className(`${cell}run`)
      .name("verdict")
      .time(0)
      .error(xmlText(report.reason), report.verdict, details);
  }
}

export async function writeJunit(file: string, report: RunReport): Promise<void> {
  await writeWhole(file, renderJunit(report));
}

function addSuite(root: Builder, suite: SuiteResult, report: RunReport, cell: string): void {
  const name = `${cell}${suite.name}`;
  const element = root
    .testSuite()
    .name(name)
    .timestamp(new Date(report.startedAt))
    .time(suite.milliseconds / 1000)
    .property("kernelRelease", xmlText(report.kernelRelease))
    .property("imageId", report.imageId)
    .property("sourceHash", report.sourceHash);
  if (report.kernelPackage) {
    element
      .property("kernelPackage", report.kernelPackage.name)
      .property("kernelVersion", report.kernelPackage.version)
      .property("kernelSuite", report.kernelPackage.suite);
  }
  if (report.seed !== undefined) element.property("seed", `${report.seed}`);
  for (const { reason, suites } of report.retried ?? [])
    if (suites.includes(suite.name)) element.property("retried", xmlText(reason));
  const hangs = (report.hangs ?? []).filter((hang) => hang.suite === suite.name);
  for (const each of suite.cases) addCase(element, each, hangs, cell);
  if (suite.problems.length > 0)
    element
      .testCase()
      .className(name)
      .name("(suite)")
      .time(0)
      .error(
        xmlText(suite.problems.join("; ")),
        "suite",
        [...suite.tail, ...hangLines(hangs)].map(xmlText).join("\n"),
      );
  for (const crash of crashesOf(suite, report))
    element
      .testCase()
      .className(name)
      .name(xmlText(crash.case === undefined ? "(kernel)" : `(kernel) ${crash.case}`))
      .time(0)
      .error(xmlText(crash.title), crash.kind, crashLines(crash).map(xmlText).join("\n"));
  if (suite.ending === "notRun")
    element.testCase().className(name).name("(suite)").time(0).skipped();
}

function addCase(element: TestSuite, each: CaseResult, hangs: readonly Hang[], cell: string): void {
  const testCase = element
    .testCase()
    .className(`${cell}${each.suite}`)
    .name(xmlText(each.name))
    .time(each.milliseconds / 1000);
  for (const tag of each.tags ?? []) testCase.property("tag", xmlText(tag));
  for (const { name, value, unit } of each.measures ?? [])
    testCase.property(`measure.${name}`, xmlText(`${value} ${unit}`));
  const evidence = each.outcome === "timedOut" ? hangLines(hangs) : [];
  const details = [...each.diagnostics, ...evidence].map(xmlText).join("\n");
  switch (each.outcome) {
    case "failed":
    case "timedOut": {
      const message = xmlText(each.diagnostics.at(-1) ?? each.directive ?? "not ok");
      testCase.failure(message, each.outcome);
      // GitLab shows the element's text only, GitHub's actions the message as well.
      testCase.stacktrace(details || message);
      return;
    }
    case "skipped":
      testCase.skipped();
      if (each.directive !== undefined) testCase.standardOutput(xmlText(each.directive));
      return;
    case "passed":
      if (details !== "") testCase.standardOutput(details);
  }
}

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
