/** A matrix as a table in Markdown, for documentation. */
import { formatDuration, printable } from "../lab/report/progress.ts";
import type { CellResult } from "./cellResult.ts";
import type { MatrixResult } from "./matrixResult.ts";
import { cpuOf, suitesOf, suiteText, summaryOf } from "./matrixTable.ts";

/** The text; ends with a newline. */
export function matrixMarkdown(result: MatrixResult): string {
  const suites = suitesOf(result.cells);
  const row = ({ kernelRelease = "", ...cell }: CellResult): string[] => [
    ...[cell.cell, kernelRelease, cell.verdict],
    ...suites.map((name) => suiteText(cell.suites.find((suite) => suite.name === name))),
    ...[formatDuration(cell.seconds * 1000), formatDuration(cpuOf(cell) * 1000)],
  ];
  const head = ["cell", "kernel", "verdict", ...suites, "time", "CPU"];
  const lines = [head, head.map(() => "---"), ...result.cells.map(row)].map(
    (words) => `| ${words.map(escaped).join(" | ")} |`,
  );
  const remarks = result.cells
    .filter(({ verdict }) => verdict !== "passed")
    .map(({ cell, verdict, reason }) => `- ${escaped(`${cell}: ${verdict}: ${reason}`)}`);
  const sections = [lines, ...(remarks.length > 0 ? [remarks] : []), [summaryOf(result)]];
  return `${sections.map((each) => each.join("\n")).join("\n\n")}\n`;
}

/** Text that is only text in Markdown, its HTML included. */
function escaped(text: string): string {
  return printable(text)
    .replaceAll("\n", " ")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replace(/[\\`*_[\]|#!]/g, (character) => `\\${character}`);
}
