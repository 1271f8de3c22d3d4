/** Whether a fault was told right. Pure. */
import Table from "cli-table3";
import { renderTable } from "../../lab/report/table.ts";
import { exitCodeOf } from "../../lab/run/verdict.ts";
import type { CellFault } from "./cellFaults.ts";
import { expectedOn, verdictsOf, type Fault } from "./fault.ts";
import type { Outcome } from "./faultLab.ts";

/** What was told of a fault, and what is wrong with it. */
export interface Told {
  readonly name: string;
  readonly kind: Fault["kind"];
  readonly what: string;
  readonly expected: string;
  readonly why?: string;
  readonly verdict: string;
  readonly reason: string;
  readonly seconds: number;
  readonly within: number;
  /** Empty when all is right. */
  readonly wrong: readonly string[];
}

/** Escape, and CSI, OSC and their like as one character: what moves a terminal's cursor. */
// eslint-disable-next-line no-control-regex
const terminalControl = /[\u001b\u0080-\u009f]/;

/** @param kernel version such as 6.1; @param slack by which the host is slower than a quiet one */
export function judgeTold(fault: Fault, outcome: Outcome, kernel: string, slack = 1): Told {
  const { name, kind, what, why, within } = fault;
  const { report, seconds } = outcome;
  const expected = expectedOn(fault, kernel);
  const verdicts = verdictsOf(expected);
  return {
    ...{ name, kind, what, expected: verdicts.join(" or "), ...(why !== undefined && { why }) },
    ...{ verdict: report?.verdict ?? "no report", reason: report?.reason ?? "" },
    ...{ seconds: Math.round(seconds * 10) / 10, within },
    wrong: [
      ...wrongVerdict(),
      ...wrongRetry(),
      ...wrongMemory(),
      ...wrongWords(outcome),
      ...late(),
    ],
  };

  function wrongVerdict(): string[] {
    if (report === undefined) return [`no report, exit code ${String(outcome.exitCode)}`];
    const wrong: string[] = [];
    if (!verdicts.includes(report.verdict))
      wrong.push(`${report.verdict} instead of ${verdicts.join(" or ")}: ${report.reason}`);
    else if (!expected.reason.test(report.reason))
      wrong.push(`the reason does not fit ${String(expected.reason)}: ${report.reason}`);
    if (outcome.exitCode !== exitCodeOf(report.verdict))
      wrong.push(`exit code ${String(outcome.exitCode)} for ${report.verdict}`);
    return wrong;
  }

  function wrongRetry(): string[] {
    const reasons = (report?.retried ?? []).map(({ reason }) => reason);
    if (fault.retried === undefined || reasons.some((each) => fault.retried?.test(each))) return [];
    return [`no retry that fits ${String(fault.retried)}: ${reasons.join("; ") || "none"}`];
  }

  function wrongMemory(): string[] {
    const { memory = "" } = outcome;
    if (fault.inMemory === undefined || fault.inMemory.test(memory)) return [];
    return [`gdb finds no ${String(fault.inMemory)} in memory: ${memory || "none is kept"}`];
  }

  function late(): string[] {
    return lateBy(seconds, within * slack);
  }
}

/** The same for a fault of a cell, which is told by an exit code and what the terminal gets. */
export function judgeCellTold(fault: CellFault, outcome: Outcome, slack = 1): Told {
  const { name, what, why, within, says } = fault;
  const { terminal, seconds, exitCode } = outcome;
  const wrong: string[] = [];
  if (exitCode !== fault.exitCode)
    wrong.push(`exit code ${String(exitCode)} instead of ${fault.exitCode}`);
  if (!says.test(terminal)) wrong.push(`what it says does not fit ${String(says)}: ${terminal}`);
  return {
    ...{ name, kind: "host", what, ...(why !== undefined && { why }) },
    ...{ expected: `exit code ${fault.exitCode}`, verdict: `exit code ${String(exitCode)}` },
    ...{ reason: says.exec(terminal)?.[0] ?? "", within, seconds: Math.round(seconds * 10) / 10 },
    wrong: [...wrong, ...wrongWords(outcome), ...lateBy(seconds, within * slack)],
  };
}

function lateBy(seconds: number, most: number): string[] {
  return seconds <= most ? [] : [`${seconds.toFixed(1)} s instead of at most ${most} s`];
}

function wrongWords({ report, terminal, files, left }: Outcome): string[] {
  const table = report ? renderTable(report) : "";
  const texts = { ...files, terminal, table };
  return [
    ...Object.entries(texts)
      .filter(([, text]) => terminalControl.test(text))
      .map(([name]) => `a terminal's control character in ${name}`),
    ...left.map((each) => `left over: ${each}`),
  ];
}

export function tableOf(results: readonly Told[]): string {
  const table = new Table({
    style: { head: [], border: [], compact: true },
    head: ["fault", "how it is made", "told", "s", "at most", ""],
    colAligns: ["left", "left", "left", "right", "right", "left"],
  });
  for (const { name, what, verdict, seconds, within, wrong } of results) {
    const right = wrong.length === 0 ? "right" : "WRONG";
    table.push([name, what, verdict, seconds.toFixed(1), within, right]);
  }
  return table.toString();
}
