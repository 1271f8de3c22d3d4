/** What came of a cell, and the store of such results by which a matrix goes on where it was stopped. */
import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { ExitCode } from "../lab/config/errors.ts";
import type { Places } from "../lab/config/places.ts";
import { kernelPackageSchema } from "../lab/image/kernelPackage.ts";
import { writeWhole } from "../lab/report/wholeFile.ts";
import { gravity } from "../lab/run/mergeOutcomes.ts";
import type { RunReport, SuiteResult, VerdictKind } from "../lab/run/verdict.ts";
import type { Cell } from "./cells.ts";

/** The version of the shapes in this file; it grows when a field goes or changes its meaning. */
export const matrixFormat = 1;

const verdict = z.enum([...gravity] as [VerdictKind, ...VerdictKind[]]);
const count = z.int().nonnegative();
const seconds = z.number().nonnegative();

const suiteSummary = z.strictObject({
  name: z.string(),
  verdict: z.enum(["passed", "failed", "crashed", "hung", "not-run"]),
  passed: count,
  failed: count,
  skipped: count,
  milliseconds: count,
});
export type SuiteSummary = z.infer<typeof suiteSummary>;

export const cellResultSchema = z.strictObject({
  cell: z.string().describe("IMAGE/KERNEL CONFIGURATION, as far as they were named"),
  stack: z.string().describe("name of the stack that the cell had"),
  image: z.string(),
  kernel: z.string().describe("as asked for; empty for the image's own"),
  configuration: z.string().describe("the configuration's name; empty for the only one"),
  verdict,
  exitCode: z.enum(ExitCode),
  reason: z.string().describe("one line; of a build, the compiler's first error"),
  kernelRelease: z.string().optional().describe("what the guest ran, or the image has"),
  kernelPackage: kernelPackageSchema.exactOptional().describe("where the image's kernel is from"),
  imageId: z.string().optional(),
  sourceHash: z.string().optional().describe("sha256 of the module's sources"),
  inputs: z.string().optional().describe("hash of everything that decides the result"),
  suites: z.array(suiteSummary),
  startedAt: z.iso.datetime(),
  seconds: seconds.describe("from the stack's creation to its removal"),
  cpuSeconds: z
    .strictObject({ engine: seconds, guests: seconds })
    .describe("processor time of Pulumi, builds and verbs, and of QEMU"),
  retried: z.string().optional().describe("how the infrastructure failed the first time"),
  left: z.string().optional().describe("why the stack could not be removed"),
  kept: z.boolean().describe("the result is of an earlier matrix, for the same inputs"),
  log: z.string().describe("what Pulumi and vexlab's verbs said; empty when nothing was begun"),
  result: z
    .string()
    .optional()
    .describe("result.json of the test run; absent when none was reached"),
});
export type CellResult = z.infer<typeof cellResultSchema>;

/** A cell's result with the whole report of its test run. */
export interface CellOutcome {
  readonly result: CellResult;
  readonly report?: RunReport;
}

/** Whether a verdict says something of the module; others are no reason not to run again. */
export function isFinished(kind: VerdictKind): boolean {
  return kind !== "infrastructure-failed" && kind !== "cancelled";
}

/** What decides a cell's result besides chance. */
export interface CellInputs {
  readonly sourceHash: string;
  /** Stands for the kernel and every package in the guest. */
  readonly imageId: string;
  /** Of what vexlab puts into the guest. */
  readonly guestFilesHash: string;
  /** The text of the user's cloud-config. */
  readonly userData?: string | undefined;
}

// The sources and what the user's cloud-config says are in the inputs; ports decide nothing.
const elsewhere = ["source", "manifest", "userData", "suites", "sshPort", "gdbPort"];

/** The hash of a cell's inputs. */
export function inputsHash(
  { config, suites }: Pick<Cell, "config" | "suites">,
  inputs: CellInputs,
): string {
  const entries = Object.entries(config)
    .filter(([key]) => !elsewhere.includes(key))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const text = JSON.stringify([matrixFormat, inputs, suites, entries]);
  return createHash("sha256").update(text).digest("hex");
}

/** How a suite went, in a word. */
export function summarise(suite: SuiteResult, report: Pick<RunReport, "crashes">): SuiteSummary {
  const of = (...outcomes: string[]): number =>
    suite.cases.filter(({ outcome }) => outcomes.includes(outcome)).length;
  const failed = of("failed", "timedOut");
  return {
    ...{ name: suite.name, passed: of("passed"), failed, skipped: of("skipped") },
    milliseconds: suite.milliseconds,
    verdict: verdictOf(suite, failed, report),
  };
}

function verdictOf(
  { name, ending, problems }: SuiteResult,
  failed: number,
  { crashes }: Pick<RunReport, "crashes">,
): SuiteSummary["verdict"] {
  if (ending === "crashed" || crashes.some(({ suite }) => suite === name)) return "crashed";
  if (ending === "caseTimeout" || ending === "suiteTimeout") return "hung";
  if (ending === "notRun" || ending === "cancelled") return "not-run";
  return failed > 0 || problems.length > 0 || ending !== "exited" ? "failed" : "passed";
}

const stored = z.object({ result: cellResultSchema, report: z.unknown().optional() });

const storeFolder = (where: Places): string => join(where.state, "matrix", "results");

/** Keeps a finished result. */
export async function storeOutcome(
  where: Places,
  inputs: string,
  outcome: CellOutcome,
): Promise<void> {
  if (!isFinished(outcome.result.verdict)) return;
  await mkdir(storeFolder(where), { recursive: true });
  await writeWhole(join(storeFolder(where), `${inputs}.json`), `${JSON.stringify(outcome)}\n`);
}

/** The result that is kept for these inputs; undefined when there is none, or it can't be read. */
export async function storedOutcome(
  where: Places,
  inputs: string,
): Promise<CellOutcome | undefined> {
  try {
    const text = await readFile(join(storeFolder(where), `${inputs}.json`), "utf8");
    const { result, report } = stored.parse(JSON.parse(text));
    if (result.inputs !== inputs || !isFinished(result.verdict)) return undefined;
    const kept = { ...result, kept: true };
    return report === undefined ? { result: kept } : { result: kept, report: report as RunReport };
  } catch {
    // Absent, or of another version: then it is run again.
    return undefined;
  }
}
