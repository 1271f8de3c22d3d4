/** Several runs of the same, each in a guest of its own: what fails now and then is found so. */
import type { Progress } from "../report/progress.ts";
import { forgetRun, pointLatest } from "../report/results.ts";
import { writeJson } from "../report/json.ts";
import { gravity } from "./mergeOutcomes.ts";
import { seedOf } from "./order.ts";
import type { TestRequest } from "./testRequest.ts";
import { recordVerdict, testRun } from "./testRun.ts";
import type { RepetitionResult, RunReport } from "./verdict.ts";

export interface Repetitions {
  readonly most: number;
  /** Whether the first run that does not pass is the last one. */
  readonly untilFail: boolean;
}

/** Repetitions of a run that is to end when one fails, and that never does. */
export const mostUntilFail = 100;

/**
 * Runs the tests up to so many times; with a seed, each time in another order.
 *
 * Only the results of runs that did not pass are kept, or those of the last one when all did.
 * @returns the report of the gravest run, the first of its kind, with what became of the others.
 * @throws what a run throws.
 */
export async function repeatRun(
  request: TestRequest,
  { most, untilFail }: Repetitions,
  progress: Progress,
  signal?: AbortSignal,
): Promise<RunReport> {
  if (most === 1) return testRun(request, progress, signal);
  const reports: RunReport[] = [];
  const forget = async ({ runId, files }: RunReport): Promise<void> =>
    forgetRun(request.results, runId, files.log);
  for (let number = 1; number <= most; number++) {
    const repetition = { number, most };
    const { seed: first } = request;
    const seed = first === undefined ? {} : { seed: seedOf(first, number) };
    const step = progress.step(`repetition ${number} of ${most}`);
    let report: RunReport;
    try {
      report = await testRun({ ...request, ...seed, repetition }, progress, signal);
    } catch (error) {
      step.failed();
      throw error;
    }
    const passed = report.verdict === "passed";
    if (passed) step.done();
    else step.failed(report.reason);
    const before = reports.at(-1);
    if (before?.verdict === "passed") await forget(before);
    reports.push(report);
    if (!passed && (untilFail || endsAll(report))) break;
  }
  return conclude(request, reports, forget);
}

/** What is not the module's doing would only happen again. */
function endsAll({ verdict }: RunReport): boolean {
  return verdict === "cancelled" || verdict === "infrastructure-failed";
}

async function conclude(
  request: TestRequest,
  reports: readonly RunReport[],
  forget: (report: RunReport) => Promise<void>,
): Promise<RunReport> {
  const last = reports.at(-1) as RunReport;
  const ordered = reports.toSorted(
    (a, b) => gravity.indexOf(a.verdict) - gravity.indexOf(b.verdict),
  );
  const gravest = ordered[0] as RunReport;
  const shown = gravest.verdict === "passed" ? last : gravest;
  const repetitions = reports.map(({ runId, verdict, seed, seconds }, index): RepetitionResult => ({
    number: index + 1,
    verdict,
    seconds,
    ...(seed !== undefined && { seed }),
    ...((verdict !== "passed" || reports[index] === shown) && { runId }),
  }));
  const report = { ...shown, repetitions };
  await writeJson(shown.files.json, report);
  if (shown === last) return report;
  if (last.verdict === "passed") await forget(last);
  await pointLatest(request.results, shown.runId);
  if (request.otherSource !== true) await recordVerdict(request.guest.stackFolder, shown);
  return report;
}
