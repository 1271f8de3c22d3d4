/** `vexlab matrix`: the module on many kernels and in many configurations, a stack for each. */
import type { Command } from "commander";
import picocolors from "picocolors";
import { cancellable } from "../lab/config/cancellation.ts";
import { ConfigurationError, ExitCode } from "../lab/config/errors.ts";
import { formatSize } from "../lab/config/quantity.ts";
import { printable } from "../lab/report/progress.ts";
import { imageLabel } from "../lab/stackImage.ts";

interface Flags {
  readonly kernel?: string[];
  readonly image?: string[];
  readonly config?: string[];
  readonly suite?: string[];
  readonly source?: string;
  readonly stack?: string;
  readonly jobs?: string;
  readonly memory?: string;
  readonly firstPort?: string;
  readonly fresh?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const several = (value: string, before: readonly string[] = []): string[] => [
  ...before,
  ...value.split(",").filter((each) => each !== ""),
];
const each = (value: string, before: readonly string[] = []): string[] => [...before, value];

export function register(program: Command): void {
  program
    .command("matrix")
    .argument("[file]", "a matrix.yaml (docs/matrix.md); options override its keys")
    .description("build and test the module in many guests: kernels × configurations")
    .option("--kernel <kernels>", "such as 6.1,debian-12/6.12, or all; repeatable", several)
    .option("--image <images>", "images of the guests, as in vexlab:image; repeatable", several)
    .option("--config <name=file>", "a configuration for the cells, a YAML file; repeatable", each)
    .option("--suite <patterns>", "suites whose names match, such as 'file-*'; repeatable", several)
    .option("--source <folder>", "the module under test; default: the stack's")
    .option("--stack <name>", "the stack whose configuration the cells have (default ci)")
    .option("--jobs <number>", "cells at once; default: as many as there are processors")
    .option("--memory <size>", "what the guests may take together; default: 3/4 of the host's")
    .option("--first-port <port>", "the guests' SSH ports are the first free ones from here on")
    .option("--fresh", "run also what has a result for the same inputs")
    .option("--dry-run", "only list the cells")
    .option("--json", "print matrix.json instead of the table")
    .action(async (file: string | undefined, flags: Flags) => {
      process.exitCode = await matrix(file, flags);
    });
}

async function matrix(file: string | undefined, flags: Flags): Promise<ExitCode> {
  const { readMatrix } = await import("../matrix/matrixFile.ts");
  const { configurationsOf } = await import("../matrix/configurations.ts");
  const { planCells } = await import("../matrix/cells.ts");
  const { places } = await import("../lab/config/places.ts");
  const where = places();
  const request = await readMatrix(file, {
    ...{ kernels: flags.kernel, images: flags.image, suites: flags.suite, source: flags.source },
    ...{ stack: flags.stack, jobs: flags.jobs, memory: flags.memory },
    configurations: await configurationsOf(flags.config),
  });
  const port = firstPortOf(flags.firstPort);
  const cells = await planCells(request, where);
  if (cells.length === 0)
    throw new ConfigurationError("matrix", [
      {
        key: "kernels",
        problem: "leaves no cell, and a run of nothing is no pass",
        allowed: "at least one",
      },
    ]);
  const { budgetFor, runMatrix } = await import("../matrix/runMatrix.ts");
  const budget = budgetFor(cells, request);
  if (flags.dryRun === true) {
    for (const { label, stack, config, suites, need } of cells)
      process.stdout.write(
        `${printable(label)}: stack ${stack}, image ${imageLabel(config)}, ${formatSize(need.memoryMiB)}, suites ${suites.join(" ")}\n`,
      );
    process.stdout.write(
      `${cells.length} cells, ${budget.cores} at once, in ${formatSize(budget.memoryMiB)}\n`,
    );
    return ExitCode.passed;
  }
  const { bootstrap } = await import("../toolchain/bootstrap.ts");
  const { terminalProgress } = await import("../lab/report/progress.ts");
  const { writeMatrix } = await import("../matrix/report.ts");
  const { matrixTable } = await import("../matrix/matrixTable.ts");
  const { jsonText } = await import("../lab/report/json.ts");
  const progress = terminalProgress();
  const { engine } = await bootstrap(progress, where);
  const outcome = await cancellable((signal) => {
    signal.addEventListener("abort", () =>
      progress.line("Stopping; the cells' guests are removed. Ctrl-C again leaves them."),
    );
    return runMatrix({
      ...{ cells, budget, where, engine, progress, signal },
      ...{ fresh: flags.fresh ?? false, firstPort: port },
    });
  });
  const files = await writeMatrix(where.results, outcome);
  const colour = process.stdout.isTTY && picocolors.isColorSupported;
  if (flags.json === true) process.stdout.write(`${jsonText(outcome.result, 2)}\n`);
  else {
    process.stdout.write(`\n${matrixTable(outcome.result, colour)}`);
    for (const written of Object.values(files)) process.stdout.write(`${String(written)}\n`);
  }
  return outcome.result.exitCode;
}

function firstPortOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1024 && port <= 65_535) return port;
  throw new ConfigurationError("matrix", [
    { key: "--first-port", value: text, problem: "is not a port", allowed: "1024 to 65535" },
  ]);
}
