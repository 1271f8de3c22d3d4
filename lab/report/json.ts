/** result.json: the run's report as it stands (docs/verdicts.md describes the fields). */
import type { RunReport } from "../run/verdict.ts";
import { writeWhole } from "./wholeFile.ts";

/** The version of result.json's shape; it grows when a field is removed or changes its meaning. */
export const reportFormat = 2;

/**
 * JSON that moves no terminal's cursor when it is looked at: JSON itself escapes only the control
 * characters below U+0020 (RFC 8259, 7).
 */
export function jsonText(value: object, indent?: number): string {
  const escaped = (character: string): string =>
    `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value, null, indent).replace(/[\u007f-\u009f]/g, escaped);
}

/** The text of result.json. */
export function renderJson(report: RunReport): string {
  return `${jsonText({ format: reportFormat, ...report }, 2)}\n`;
}

export async function writeJson(file: string, report: RunReport): Promise<void> {
  await writeWhole(file, renderJson(report));
}
