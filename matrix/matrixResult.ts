/** What came of a whole matrix. docs/matrix.schema.json is made of the schema here. */
import * as z from "zod";
import { ExitCode } from "../lab/config/errors.ts";
import { gravity } from "../lab/run/mergeOutcomes.ts";
import { exitCodeOf } from "../lab/run/verdict.ts";
import { cellResultSchema, matrixFormat, type CellOutcome, type CellResult } from "./cellResult.ts";

const seconds = z.number().nonnegative();

export const matrixResultSchema = z
  .strictObject({
    format: z.literal(matrixFormat).describe("grows when a field goes or changes its meaning"),
    runId: z.string().describe("the folder in test_results"),
    module: z.string().describe("name in the manifest"),
    source: z.string(),
    exitCode: z.enum(ExitCode).describe("of the gravest verdict"),
    cells: z.array(cellResultSchema),
    startedAt: z.iso.datetime(),
    seconds,
    cores: z.int().positive().describe("processors of the host"),
    jobs: z.int().positive().describe("cells at once"),
    memoryMiB: z.int().positive().describe("that the guests were allowed together"),
    cpuSeconds: z
      .strictObject({ cells: seconds, images: seconds, matrix: seconds })
      .describe(
        "processor time: of cells that ran, of making images and saving guests, of vexlab matrix itself",
      ),
  })
  .describe("matrix.json of vexlab matrix");

export type MatrixResult = z.infer<typeof matrixResultSchema>;

/** A matrix's result with the reports of its cells, which are files of their own. */
export interface MatrixOutcome {
  readonly result: MatrixResult;
  readonly cells: readonly CellOutcome[];
}

/** The published JSON schema (draft 2020-12). */
export function matrixJsonSchema(): Record<string, unknown> {
  return { title: "vexlab matrix result", ...z.toJSONSchema(matrixResultSchema) };
}

/**
 * The code that a matrix ends with: 130 when it was cancelled, else of the gravest verdict. Of no cells
 * there is nothing to say, which is no pass.
 */
export function exitCodeOfCells(
  cells: readonly Pick<CellResult, "verdict" | "exitCode">[],
): ExitCode {
  if (cells.length === 0) return ExitCode.usage;
  if (cells.some(({ verdict }) => verdict === "cancelled")) return ExitCode.cancelled;
  const [gravest] = cells.toSorted(
    (a, b) => gravity.indexOf(a.verdict) - gravity.indexOf(b.verdict),
  );
  return gravest?.exitCode ?? exitCodeOf("passed");
}
