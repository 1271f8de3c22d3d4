/** What a row of the bench finds out, and how it is judged and written down. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Table from "cli-table3";

export interface Finding {
  readonly what: string;
  readonly unit: "s" | "MB";
  readonly ours: readonly number[];
  /** What ours is compared with. */
  readonly theirs?: readonly number[];
  /** The largest ratio of the medians that meets the goal, or the largest value where `theirs` is missing. */
  readonly goal?: number;
  /** Medians of the parts of ours, in seconds. */
  readonly phases?: Readonly<Record<string, number>>;
}

/** A row as it ended. */
export interface RowResult {
  readonly row: string;
  readonly seconds: number;
  readonly findings: readonly Finding[];
  /** Why it came to nothing. */
  readonly error?: string;
}

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly values: readonly number[];
}

/** The middle one; of an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  return sorted.length % 2 === 1 ? at(Math.floor(middle)) : (at(middle - 1) + at(middle)) / 2;
}

function summary(values: readonly number[]): Summary {
  const rounded = values.map((value) => Math.round(value * 1000) / 1000);
  return {
    median: median(rounded),
    min: Math.min(...rounded),
    max: Math.max(...rounded),
    values: rounded,
  };
}

/** The number that the goal is about. */
function figure({ ours, theirs, unit, goal }: Finding): number {
  // A limit on memory or disk holds for each guest, not for the one in the middle.
  if (theirs === undefined) return unit === "MB" && goal ? Math.max(...ours) : median(ours);
  return median(ours) / median(theirs);
}

function isMet(finding: Finding): boolean | undefined {
  return finding.goal === undefined ? undefined : figure(finding) <= finding.goal;
}

/** Writes the JSON file, and returns a table for a person and whether every goal was met. */
export async function report(
  rows: readonly RowResult[],
  host: Readonly<Record<string, string | number>>,
  folder: string,
): Promise<{ table: string; met: boolean }> {
  const met = rows.every(
    ({ error, findings }) => error === undefined && findings.every((each) => isMet(each) !== false),
  );
  const json = {
    host,
    met,
    rows: rows.map(({ findings, ...row }) => ({
      ...row,
      findings: findings.map(({ ours, theirs, ...finding }) => ({
        ...finding,
        ...(theirs && { ratio: median(ours) / median(theirs) }),
        met: isMet({ ours, ...(theirs && { theirs }), ...finding }),
        ours: summary(ours),
        ...(theirs && { theirs: summary(theirs) }),
      })),
    })),
  };
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "bench.json"), `${JSON.stringify(json, null, 2)}\n`);
  return { table: tableOf(rows), met };
}

function tableOf(rows: readonly RowResult[]): string {
  const table = new Table({
    style: { head: [], border: [] },
    head: ["row", "what", "ours", "theirs", "ratio", "goal", ""],
  });
  for (const { row, findings, error } of rows) {
    for (const finding of findings) {
      const { what, ours, theirs, goal, unit, phases } = finding;
      const shown = (values: readonly number[]): string => `${median(values).toFixed(2)} ${unit}`;
      const parts = Object.entries(phases ?? {}).map(([name, s]) => `${name} ${s.toFixed(2)} s`);
      const ratio = theirs ? (median(ours) / median(theirs)).toFixed(3) : "";
      const limit = goal === undefined ? "" : `≤ ${goal}${theirs ? "" : ` ${unit}`}`;
      const met = isMet(finding);
      table.push([
        ...[row, [what, ...parts].join("\n  "), shown(ours), theirs ? shown(theirs) : ""],
        ...[ratio, limit, met === undefined ? "" : met ? "met" : "MISSED"],
      ]);
    }
    if (error !== undefined) table.push([row, shortened(error), "", "", "", "", "FAILED"]);
  }
  return table.toString();
}

/** What failed, and the last that it said: the whole is in the JSON file. */
function shortened(error: string): string {
  const lines = error.trim().split("\n");
  return [...new Set([lines[0], ...lines.slice(-2)])].join("\n");
}
