/** A matrix in the terminal: cells × suites, what went wrong, what it took. */
import Table from "cli-table3";
import picocolors from "picocolors";
import { formatDuration, printable } from "../lab/report/progress.ts";
import type { CellResult, SuiteSummary } from "./cellResult.ts";
import type { MatrixResult } from "./matrixResult.ts";

/** The suites of all cells, each once, in the order in which they come. */
export function suitesOf(cells: readonly CellResult[]): string[] {
  return [...new Set(cells.flatMap(({ suites }) => suites.map(({ name }) => name)))];
}

/** A suite of a cell in a word: how many cases passed, or what went wrong. */
export function suiteText(suite: SuiteSummary | undefined): string {
  if (suite === undefined) return "–";
  const { verdict, passed, failed } = suite;
  if (verdict === "passed") return `ok ${passed}`;
  return verdict === "failed" && failed > 0 ? `failed ${failed}` : verdict;
}

/** Processor seconds of a cell. */
export const cpuOf = ({ cpuSeconds }: CellResult): number => cpuSeconds.engine + cpuSeconds.guests;

/** How well the processors were used, where all cells ran: wall time to processor time divided by processors. */
export function useOf({ cells, seconds, cpuSeconds, cores }: MatrixResult): number | undefined {
  const all = cells.every(({ kept }) => !kept);
  return all && cpuSeconds.cells > 0 ? seconds / (cpuSeconds.cells / cores) : undefined;
}

/** Sentences under the table: what it took. */
export function summaryOf(result: MatrixResult): string {
  const { cells, cpuSeconds, cores, seconds } = result;
  const kept = cells.filter(({ kept }) => kept).length;
  const use = useOf(result);
  return [
    `${cells.length} ${cells.length === 1 ? "cell" : "cells"}${kept > 0 ? `, ${kept} of them from earlier runs` : ""}`,
    formatDuration(seconds * 1000),
    `processor time ${formatDuration(cpuSeconds.cells * 1000)} for cells`,
    `${formatDuration((cpuSeconds.images + cpuSeconds.matrix) * 1000)} besides`,
    ...(use === undefined ? [] : [`wall ${use.toFixed(2)} × cells' processor time / ${cores}`]),
  ].join(", ");
}

/** The text; ends with a newline. */
export function matrixTable(result: MatrixResult, colour = false): string {
  const colours = picocolors.createColors(colour);
  const { cells } = result;
  const suites = suitesOf(cells);
  const table = new Table({
    head: ["cell", "kernel", "verdict", ...suites, "time", "CPU"].map(printable),
    style: { head: [], border: [], compact: true },
  });
  const paint = (good: boolean, text: string): string =>
    good ? colours.green(text) : colours.red(text);
  for (const cell of cells) {
    const { verdict, kept } = cell;
    table.push([
      printable(cell.cell),
      printable(cell.kernelRelease ?? ""),
      paint(verdict === "passed", `${verdict}${kept ? " (kept)" : ""}`),
      ...suites.map((name) => {
        const suite = cell.suites.find((each) => each.name === name);
        const text = suiteText(suite);
        return suite === undefined ? text : paint(suite.verdict === "passed", text);
      }),
      formatDuration(cell.seconds * 1000),
      formatDuration(cpuOf(cell) * 1000),
    ]);
  }
  const remarks = cells.flatMap(({ cell, verdict, reason, retried, left, stack, log }) => [
    ...(verdict === "passed"
      ? []
      : [
          `${colours.red("✗")} ${printable(`${cell}: ${verdict}: ${reason}`)}`,
          ...(log === "" ? [] : [`    log ${log}`]),
        ]),
    ...(retried === undefined ? [] : [`! ${printable(`${cell}: run again: ${retried}`)}`]),
    ...(left === undefined ? [] : [`! ${printable(`${cell}: stack ${stack} is left: ${left}`)}`]),
  ]);
  const sections = [table.toString(), ...(remarks.length > 0 ? [remarks.join("\n")] : [])];
  return `${[...sections, summaryOf(result)].join("\n\n")}\n`;
}
