/**
 * A test run from the stack's guest to the results on the host: guest ready, suites, reports, the
 * stack's markers. Whatever happens after the names are claimed ends in a verdict that is written.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import writeFileAtomic from "write-file-atomic";
import { LabError } from "../config/errors.ts";
import { openImage } from "../image/image.ts";
import { sanitizersOf, type SanitizerName } from "../kernel/sanitizers.ts";
import { stopDomain } from "../guest/power.ts";
import { describeKernel } from "../image/kernelPackage.ts";
import { writeJson } from "../report/json.ts";
import { writeJunit } from "../report/junit.ts";
import { logFile, type LogFile } from "../report/log.ts";
import type { Progress } from "../report/progress.ts";
import { claimRunFiles, pointLatest, type RunFiles } from "../report/results.ts";
import { renderTable } from "../report/table.ts";
import { writeWhole } from "../report/wholeFile.ts";
import { outcomeOf } from "./inGuests.ts";
import { writeLastVerdict } from "./lastVerdict.ts";
import { planRun, type RunPlan } from "./plan.ts";
import type { GuestPlace } from "./readyGuest.ts";
import { describeSelection } from "./selection.ts";
import type { TestRequest } from "./testRequest.ts";
import {
  exitCodeOf,
  type Repetition,
  type RunReport,
  type Verdict,
  type VerdictKind,
} from "./verdict.ts";

/** The marker of a failed run; `destroy` removes it with the stack's folder. */
export const lastFailureFile = (stackFolder: string): string => join(stackFolder, "last-failure");

/**
 * Runs the tests and writes what came of it.
 * @throws ConfigurationError for suites that don't exist; LabError when the results can't be written.
 */
export async function testRun(
  request: TestRequest,
  progress: Progress,
  signal?: AbortSignal,
): Promise<RunReport> {
  const { stack, build, manifest, selection, seed, repetition } = request;
  const startedAt = new Date();
  // Before names are claimed: what the user got wrong leaves no empty results behind.
  planRun("", manifest, build, request);
  const files = await claimRunFiles(request.results, stack, startedAt);
  const log = logFile(files.logHandle);
  log.write(`vexlab run ${files.runId}, ${startedAt.toISOString()}`);
  const sanitizers = await kernelSanitizers(build.imageId);
  const planned = planRun(files.runId, manifest, build, { ...request, sanitizers });
  const plan = { ...planned, suites: firstOf(planned.suites, request.first ?? []) };
  const kernel = describeKernel(build.kernelRelease, build.kernelPackage);
  log.write(`image ${build.imageId}, kernel ${kernel}, source ${build.sourceHash}`);
  if (planned.patience !== undefined) {
    const longer = `deadlines are ${planned.patience} times as long: the kernel has ${sanitizers.join(", ")}`;
    log.write(longer);
    progress.line(longer);
  }
  if (repetition) log.write(`repetition ${repetition.number} of ${repetition.most}`);
  if (selection) log.write(`selected: ${describeSelection(selection)}`);
  if (seed !== undefined) {
    const order = `random order, seed ${seed}: ${plan.suites.map(({ name }) => name).join(", ")}`;
    log.write(order);
    progress.line(order);
  }

  const began = performance.now();
  const { outcome, console } = await outcomeOf(
    { request, progress, log, signal, folder: files.folder, numbers: { dumps: 0 } },
    plan,
  );
  const verdict = inRepetition(outcome.verdict, repetition);
  const report: RunReport = {
    runId: files.runId,
    stack,
    kernelRelease: outcome.kernelRelease || build.kernelRelease,
    ...(build.kernelPackage && { kernelPackage: build.kernelPackage }),
    imageId: build.imageId,
    sourceHash: build.sourceHash,
    artefactHash: build.artefactHash,
    verdict: verdict.kind,
    exitCode: exitCodeOf(verdict.kind),
    reason: verdict.reason,
    suites: planned.suites.flatMap(({ name }) =>
      outcome.suites.filter((suite) => suite.name === name),
    ),
    moduleProblems: outcome.moduleProblems,
    crashes: outcome.crashes,
    ...(outcome.hangs && { hangs: outcome.hangs }),
    ...(outcome.retried && { retried: outcome.retried }),
    ...(outcome.dumps && { dumps: outcome.dumps }),
    ...(selection && { selection }),
    ...(seed !== undefined && { seed }),
    ...(repetition && { repetition }),
    startedAt: startedAt.toISOString(),
    seconds: Math.round(performance.now() - began) / 1000,
    ...(request.phases && { phases: request.phases.all }),
    files: { log: files.log, junit: files.junit, json: files.json },
  };
  await write(request, report, files, log, console);
  if (request.stopAfter) await stop(request.guest, report.verdict, progress);
  return report;
}

/** What the kernel of an image looks for by itself; nothing where that can't be told any more. */
async function kernelSanitizers(imageId: string): Promise<readonly SanitizerName[]> {
  try {
    return await sanitizersOf(await openImage(imageId));
  } catch (error) {
    if (error instanceof LabError) return [];
    throw error;
  }
}

/** A failure of one of several says which it was. */
function inRepetition(verdict: Verdict, repetition: Repetition | undefined): Verdict {
  if (repetition === undefined || verdict.kind === "passed") return verdict;
  const { number, most } = repetition;
  return { ...verdict, reason: `repetition ${number} of ${most}: ${verdict.reason}` };
}

/** The suites with some of them before the others. */
function firstOf(suites: RunPlan["suites"], first: readonly string[]): RunPlan["suites"] {
  const isFirst = ({ name }: { readonly name: string }): boolean => first.includes(name);
  return [...suites.filter(isFirst), ...suites.filter((suite) => !isFirst(suite))];
}

async function write(
  request: TestRequest,
  report: RunReport,
  files: RunFiles,
  log: LogFile,
  shown: string,
): Promise<void> {
  const { stackFolder } = request.guest;
  log.write(`\n${renderTable(report)}`);
  await log.close();
  if (shown !== "") await writeWhole(files.console, shown);
  await writeJunit(files.junit, report);
  await writeJson(files.json, report);
  await pointLatest(request.results, report.runId);
  if (request.otherSource === true) return;
  await mkdir(stackFolder, { recursive: true, mode: 0o700 });
  // First the marker: an interruption between the two must not lose the failure.
  if (report.verdict !== "passed")
    await writeFileAtomic(lastFailureFile(stackFolder), `${report.runId}\n`);
  await recordVerdict(stackFolder, report);
}

/** Makes a report the stack's last verdict. */
export async function recordVerdict(stackFolder: string, report: RunReport): Promise<void> {
  const { runId, verdict, exitCode, reason } = report;
  const at = new Date().toISOString();
  await writeLastVerdict(stackFolder, { runId, verdict, exitCode, reason, at });
}

/** Milliseconds that a guest gets to shut down; an emulated systemd takes about 10 s. */
const shutdownMs = 60_000;

async function stop(place: GuestPlace, verdict: VerdictKind, progress: Progress): Promise<void> {
  // A dead kernel doesn't hear the power button.
  const deadlineMs = verdict === "crashed" || verdict === "hung" ? 0 : shutdownMs;
  const step = progress.step("stopping the guest");
  try {
    step.done(await stopDomain(place.libvirtUri, place.domain, deadlineMs));
  } catch (error) {
    // The verdict stands; a guest that still runs is stopped by `destroy` or the next run.
    step.failed((error as Error).message);
  }
}
