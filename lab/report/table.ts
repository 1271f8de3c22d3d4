/** The verdict in the terminal: failures with their diagnostics, a table of suites, one last line. */
import Table from "cli-table3";
import picocolors from "picocolors";
import { describeKernel } from "../image/kernelPackage.ts";
import { isFailure } from "../run/cases.ts";
import { decodedLines } from "../console/sourceLines.ts";
import type {
  CaseResult,
  Crash,
  Hang,
  RepetitionResult,
  RunReport,
  SuiteResult,
} from "../run/verdict.ts";
import { formatDuration, printable } from "./progress.ts";

/** Lines of diagnostics or crash evidence shown for one failure; the log has them all. */
const mostLines = 20;

/** The text; ends with a newline. */
export function renderTable(report: RunReport, colour = false): string {
  const colours = picocolors.createColors(colour);
  const sections: string[] = [];
  for (const suite of report.suites) {
    for (const each of suite.cases.filter(({ outcome }) => isFailure(outcome)))
      sections.push(block(colours.red(heading(each)), each.diagnostics));
    if (suite.problems.length > 0)
      sections.push(
        block(colours.red(printable(`✗ ${suite.name}: ${suite.problems.join("; ")}`)), suite.tail),
      );
  }
  if (report.moduleProblems.length > 0)
    sections.push(block(colours.red("✗ module"), report.moduleProblems));
  for (const crash of report.crashes)
    sections.push(block(colours.red(crashHeading(crash)), crashSummary(crash), "first"));
  for (const hang of report.hangs ?? [])
    sections.push(block(colours.red(hangHeading(hang)), decodedLines(hang), "first"));
  if (report.suites.length > 0) sections.push(suitesTable(report));
  const measures = report.suites.flatMap(({ cases }) => cases.flatMap(measuresOf));
  if (measures.length > 0) sections.push(measures.join("\n"));
  for (const { file, bytes, open } of report.dumps ?? [])
    sections.push(`memory of the guest, ${Math.ceil(bytes / 2 ** 20)} MiB: ${file}\n${open}`);
  for (const { reason } of report.retried ?? [])
    sections.push(colours.yellow(printable(`! run again in another guest: ${reason}`)));
  if (report.repetitions) sections.push(repetitionsText(report.repetitions));
  const paint = report.verdict === "passed" ? colours.green : colours.red;
  const facts = [
    report.kernelRelease && `kernel ${describeKernel(report.kernelRelease, report.kernelPackage)}`,
    report.imageId && `image ${report.imageId}`,
    report.sourceHash && `source ${report.sourceHash.slice(0, 12)}`,
    report.seed === undefined ? "" : `seed ${report.seed}`,
    formatDuration(report.seconds * 1000),
  ];
  sections.push(
    [
      `${paint(colours.bold(report.verdict.toUpperCase()))} ${printable(report.reason)}`,
      colours.dim(printable(facts.filter((fact) => fact !== "").join(", "))),
      colours.dim(`log ${report.files.log}`),
    ].join("\n"),
  );
  return `${sections.join("\n\n")}\n`;
}

function measuresOf({ suite, name, measures = [] }: CaseResult): string[] {
  return measures.map((each) =>
    printable(`${suite}: ${name}: ${each.name} ${each.value} ${each.unit}`),
  );
}

/** Those that did not pass, and how many did. */
function repetitionsText(repetitions: readonly RepetitionResult[]): string {
  const bad = repetitions.filter(({ verdict }) => verdict !== "passed");
  const lines = bad.map(({ number, verdict, seed, runId }) => {
    const order = seed === undefined ? "" : `, seed ${seed}`;
    return `repetition ${number}: ${verdict}${order}, results ${runId ?? "not kept"}`;
  });
  const passed = repetitions.length - bad.length;
  return [...lines, `${passed} of ${repetitions.length} repetitions passed`].join("\n");
}

function heading({ suite, name, outcome, milliseconds }: CaseResult): string {
  const how = outcome === "timedOut" ? "timed out" : "failed";
  return printable(`✗ ${suite}: ${name} (${how}, ${formatDuration(milliseconds)})`);
}

function block(title: string, lines: readonly string[], which: "first" | "last" = "last"): string {
  const shown = which === "first" ? lines.slice(0, mostLines) : lines.slice(-mostLines);
  const left = lines.length - shown.length;
  const more = left > 0 ? [`… ${left} more lines in the log`] : [];
  return [title, ...[...shown, ...more].map((line) => `    ${printable(line)}`)].join("\n");
}

function hangHeading({ title, during, case: running }: Hang): string {
  const where = running === undefined ? during : `${during}, case "${running}"`;
  return printable(`✗ hang: ${title} (during ${where})`);
}

function crashHeading({ kind, title, during, case: running }: Crash): string {
  const where = running === undefined ? during : `${during}, case "${running}"`;
  return printable(`✗ kernel: ${title} (${kind}, during ${where})`);
}

/** What is to blame, and the trace without registers, code bytes and lists of modules. */
function crashSummary(crash: Crash): string[] {
  const { module, panic, frames, lines } = crash;
  const facts = [
    ...(module === undefined ? [] : [`module ${module}`]),
    ...(panic === undefined ? [] : [`then panic: ${panic}`]),
  ];
  const trace = frames.filter(({ reliable }) => reliable);
  const shown =
    trace.length === 0 ? lines : decodedLines({ ...crash, lines: trace.map(({ text }) => text) });
  const first = lines.filter((line) => !line.startsWith("---")).slice(0, 1);
  return [...facts, ...(trace.length === 0 ? [] : first), ...shown];
}

function suitesTable({ suites, crashes }: RunReport): string {
  const table = new Table({
    head: ["suite", "passed", "failed", "skipped", "time", ""],
    colAligns: ["left", "right", "right", "right", "right", "left"],
    style: { head: [], border: [], compact: true },
  });
  for (const suite of suites) {
    const count = (...outcomes: CaseResult["outcome"][]): number =>
      suite.cases.filter((each) => outcomes.includes(each.outcome)).length;
    table.push([
      suite.name,
      count("passed"),
      count("failed", "timedOut"),
      count("skipped"),
      suite.ending === "notRun" ? "–" : formatDuration(suite.milliseconds),
      remark(
        suite,
        crashes.some((crash) => crash.suite === suite.name),
      ),
    ]);
  }
  return table.toString();
}

const endings: Record<SuiteResult["ending"], string> = {
  exited: "",
  stopped: "stopped at the first failure",
  caseTimeout: "a case hung",
  suiteTimeout: "took too long",
  crashed: "kernel crashed",
  connectionLost: "connection lost",
  cancelled: "cancelled",
  notRun: "not run",
};

function remark(suite: SuiteResult, crashed: boolean): string {
  if (crashed && ["exited", "stopped"].includes(suite.ending)) return "kernel crashed";
  if (suite.ending === "exited" && suite.problems.length > 0) return "output faulty";
  if (suite.ending === "exited" && suite.notSelected) return `${suite.notSelected} not selected`;
  return endings[suite.ending];
}
