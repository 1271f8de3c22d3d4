/** The files of a matrix: test_results/<time>-matrix/{matrix.json,junit.xml,index.html,matrix.md,cells/}. */
import { join } from "node:path";
import { renderJunitOfCells } from "../lab/report/junit.ts";
import { jsonText } from "../lab/report/json.ts";
import { writeWhole } from "../lab/report/wholeFile.ts";
import { matrixMarkdown } from "./matrixMarkdown.ts";
import { matrixPage } from "./matrixPage.ts";
import type { MatrixOutcome } from "./matrixResult.ts";

export interface MatrixFiles {
  readonly json: string;
  readonly junit: string;
  readonly page: string;
  readonly markdown: string;
}

/** Writes them. @throws LabError naming the one that can't be written */
export async function writeMatrix(results: string, outcome: MatrixOutcome): Promise<MatrixFiles> {
  const folder = join(results, outcome.result.runId);
  const files = {
    json: join(folder, "matrix.json"),
    junit: join(folder, "junit.xml"),
    page: join(folder, "index.html"),
    markdown: join(folder, "matrix.md"),
  };
  const { module } = outcome.result;
  const cells = outcome.cells.map(({ result, report }) =>
    report === undefined ? result : { cell: result.cell, report },
  );
  await writeWhole(files.json, `${jsonText(outcome.result, 2)}\n`);
  await writeWhole(files.junit, renderJunitOfCells(`vexlab matrix ${module}`, cells));
  await writeWhole(files.page, matrixPage(outcome));
  await writeWhole(files.markdown, matrixMarkdown(outcome.result));
  return files;
}
