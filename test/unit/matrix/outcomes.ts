/** Cells' outcomes for tests. */
import type { CellOutcome, CellResult } from "../../../matrix/cellResult.ts";
import type { MatrixOutcome } from "../../../matrix/matrixResult.ts";
import { exitCodeOf, type RunReport, type VerdictKind } from "../../../lab/run/verdict.ts";

const hash = "a".repeat(64);

export function cellResult(
  cell: string,
  verdict: VerdictKind,
  more: Partial<CellResult> = {},
): CellResult {
  return {
    ...{ cell, stack: `matrix-${cell.replaceAll(/\W/g, "-")}`, image: "debian-12", kernel: "6.1" },
    ...{
      configuration: "",
      verdict,
      exitCode: exitCodeOf(verdict),
      reason: `because it ${verdict}`,
    },
    ...{ inputs: hash, suites: [], startedAt: "2026-01-02T03:04:05.000Z", seconds: 60 },
    ...{ cpuSeconds: { engine: 10, guests: 50 }, kept: false, log: "/results/cell.log" },
    ...more,
  };
}

export function runReport(more: Partial<RunReport> = {}): RunReport {
  return {
    ...{ runId: "1", stack: "matrix-1", kernelRelease: "6.1.0-1", imageId: "debian-12-1" },
    ...{
      sourceHash: hash,
      artefactHash: hash,
      verdict: "passed",
      exitCode: 0,
      reason: "all passed",
    },
    ...{ suites: [], moduleProblems: [], crashes: [], startedAt: "2026-01-02T03:04:05.000Z" },
    ...{ seconds: 1, files: { log: "/l", junit: "/j", json: "/r" } },
    ...more,
  };
}

export function matrixOutcome(cells: readonly CellOutcome[]): MatrixOutcome {
  return {
    cells,
    result: {
      ...{ format: 1, runId: "20260102-matrix", module: "vexfs", source: "/src", exitCode: 0 },
      ...{ cells: cells.map(({ result }) => result), startedAt: "2026-01-02T03:04:05.000Z" },
      ...{ seconds: 100, cores: 2, jobs: 2, memoryMiB: 4096 },
      cpuSeconds: { cells: 160, images: 5, matrix: 1 },
    },
  };
}
