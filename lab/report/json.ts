/** result.json: the run's report as it stands (docs/verdicts.md describes the fields). */
import writeFileAtomic from "write-file-atomic";
import type { RunReport } from "../run/verdict.ts";

/** The version of result.json's shape; it grows when a field is removed or changes its meaning. */
export const reportFormat = 2;

/** The text of result.json. */
export function renderJson(report: RunReport): string {
  return `${JSON.stringify({ format: reportFormat, ...report }, null, 2)}\n`;
}

export async function writeJson(file: string, report: RunReport): Promise<void> {
  await writeFileAtomic(file, renderJson(report));
}
