/**
 * A matrix as one HTML page: no script, nothing from elsewhere, every text escaped by the library that
 * writes it, since names and words of guests are in it and guests are hostile.
 */
import { create } from "xmlbuilder2";
import type { XMLBuilder } from "xmlbuilder2/lib/interfaces.js";
import { formatDuration, printable } from "../lab/report/progress.ts";
import { decodedLines } from "../lab/console/sourceLines.ts";
import type { RunReport } from "../lab/run/verdict.ts";
import type { CellOutcome, CellResult } from "./cellResult.ts";
import type { MatrixOutcome } from "./matrixResult.ts";
import { cpuOf, suitesOf, suiteText, summaryOf } from "./matrixTable.ts";

// Without < and >: a style element's text is escaped as well.
const style = `
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em; color: #1b1b1b; background: #fff }
table { border-collapse: collapse; margin: 1em 0 } th, td { border: 1px solid #bbb; padding: .3em .6em }
th { text-align: left; background: #f2f2f2 } .good { background: #dff3df } .bad { background: #f9d9d6 }
.none { color: #777 } pre { background: #f6f6f6; padding: .8em; overflow-x: auto }
@media (prefers-color-scheme: dark) { body { color: #e6e6e6; background: #171717 } th { background: #2a2a2a }
.good { background: #173d1c } .bad { background: #551f1b } pre { background: #222 } }
`;

/** Lines of evidence shown for one failure; the log has them all. */
const mostLines = 40;

// XML has no way to write these, and HTML no use for them.
const notXml =
  /[\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const plain = (text: string): string => printable(text).replace(notXml, "\ufffd");

/** The text of the page. */
export function matrixPage({ result, cells }: MatrixOutcome): string {
  const root = create().ele("html", { lang: "en" });
  const head = root.ele("head");
  head.ele("meta", { charset: "utf-8" });
  const policy = "default-src 'none'; style-src 'unsafe-inline'";
  head.ele("meta", { "http-equiv": "Content-Security-Policy", content: policy });
  head.ele("title").txt(plain(`vexlab matrix: ${result.module}`));
  head.ele("style").txt(style);
  const body = root.ele("body");
  body.ele("h1").txt(plain(`${result.module} on ${cells.length} guests`));
  body.ele("p").txt(plain(`${result.startedAt}: ${summaryOf(result)}.`));
  addTable(body, result.cells);
  for (const cell of cells) addCell(body, cell);
  const text = root.end({ headless: true, allowEmptyTags: true });
  return `<!DOCTYPE html>\n${text}\n`;
}

function addTable(body: XMLBuilder, cells: readonly CellResult[]): void {
  const suites = suitesOf(cells);
  const table = body.ele("table");
  const head = table.ele("thead").ele("tr");
  for (const title of ["cell", "kernel", "verdict", ...suites, "time", "CPU"])
    head.ele("th").txt(plain(title));
  const rows = table.ele("tbody");
  for (const cell of cells) {
    const row = rows.ele("tr");
    row
      .ele("th")
      .ele("a", { href: `#${cell.stack}` })
      .txt(plain(cell.cell));
    row.ele("td").txt(plain(cell.kernelRelease ?? ""));
    const verdict = `${cell.verdict}${cell.kept ? " (kept)" : ""}`;
    row.ele("td", { class: cell.verdict === "passed" ? "good" : "bad" }).txt(verdict);
    for (const name of suites) {
      const suite = cell.suites.find((each) => each.name === name);
      const kind = suite === undefined ? "none" : suite.verdict === "passed" ? "good" : "bad";
      row.ele("td", { class: kind }).txt(suiteText(suite));
    }
    row.ele("td").txt(formatDuration(cell.seconds * 1000));
    row.ele("td").txt(formatDuration(cpuOf(cell) * 1000));
  }
}

function addCell(body: XMLBuilder, { result, report }: CellOutcome): void {
  const section = body.ele("section", { id: result.stack });
  section.ele("h2").txt(plain(`${result.cell}: ${result.verdict}`));
  section.ele("p").txt(plain(result.reason));
  const facts = [
    ...(result.imageId === undefined ? [] : [`image ${result.imageId}`]),
    ...(result.sourceHash === undefined ? [] : [`source ${result.sourceHash.slice(0, 12)}`]),
    `started ${result.startedAt}`,
    ...(result.retried === undefined ? [] : [`run again: ${result.retried}`]),
    ...(result.left === undefined ? [] : [`stack not removed: ${result.left}`]),
    ...(result.log === "" ? [] : [`log ${result.log}`]),
    ...(report === undefined ? [] : [`log of the tests ${report.files.log}`]),
  ];
  section.ele("p", { class: "none" }).txt(plain(facts.join("; ")));
  if (report !== undefined) addEvidence(section, report);
}

/** What failed, with its diagnostics, and what the kernel said. */
function addEvidence(section: XMLBuilder, report: RunReport): void {
  const block = (title: string, lines: readonly string[]): void => {
    section.ele("h3").txt(plain(title));
    if (lines.length === 0) return;
    const shown = lines.slice(0, mostLines);
    const more = lines.length > shown.length ? [`… ${lines.length - shown.length} more lines`] : [];
    section.ele("pre").txt([...shown, ...more].map(plain).join("\n"));
  };
  for (const { name, cases, problems, tail } of report.suites) {
    for (const each of cases)
      if (each.outcome === "failed" || each.outcome === "timedOut")
        block(`${name}: ${each.name}`, each.diagnostics);
    if (problems.length > 0) block(`${name}: ${problems.join("; ")}`, tail);
  }
  if (report.moduleProblems.length > 0) block("module", report.moduleProblems);
  for (const crash of report.crashes) block(`kernel: ${crash.title}`, decodedLines(crash));
  for (const hang of report.hangs ?? []) block(`hang: ${hang.title}`, decodedLines(hang));
}
