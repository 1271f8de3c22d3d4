/**
 * A test run from the stack's guest to the results on the host: guest ready, suites, reports, the
 * stack's markers. Whatever happens after the names are claimed ends in a verdict that is written.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pLimit from "p-limit";
import writeFileAtomic from "write-file-atomic";
import type { BuildResult } from "../build/result.ts";
import { ExitCode, LabError } from "../config/errors.ts";
import type { Manifest } from "../config/manifest.ts";
import { stopDomain } from "../guest/power.ts";
import { openImage } from "../image/image.ts";
import { writeJson } from "../report/json.ts";
import { writeJunit } from "../report/junit.ts";
import { logFile, type LogFile } from "../report/log.ts";
import { Phases } from "../report/phases.ts";
import { named, type Progress } from "../report/progress.ts";
import { claimRunFiles, pointLatest, type RunFiles } from "../report/results.ts";
import { renderTable } from "../report/table.ts";
import { consoleWitness } from "./consoleWitness.ts";
import { decodeCrashes } from "./decodeCrashes.ts";
import { writeLastVerdict } from "./lastVerdict.ts";
import { oneLine } from "./judge.ts";
import { moduleName, planRun, type RunPlan } from "./plan.ts";
import { describeSelection, type Selection } from "./selection.ts";
import { mergeOutcomes } from "./mergeOutcomes.ts";
import { ownGuest, type GuestSource, type OpenGuest } from "./openGuest.ts";
import type { GuestPlace } from "./readyGuest.ts";
import { runSuites, type RunContext, type RunOutcome } from "./runSuites.ts";
import { notRun } from "./suite.ts";
import {
  exitCodeOf,
  type Repetition,
  type RunReport,
  type Verdict,
  type VerdictKind,
} from "./verdict.ts";

export interface TestRequest {
  readonly stack: string;
  readonly guest: GuestPlace;
  readonly build: BuildResult;
  readonly manifest: Manifest;
  /** The folder of results. */
  readonly results: string;
  /** Which suites and cases; all when undefined. */
  readonly selection?: Selection;
  /** Decides a random order; the manifest's order when undefined. */
  readonly seed?: number;
  /** Which of several runs of the same this is. */
  readonly repetition?: Repetition;
  /** Suites that run before the others; the report has all in the order of the plan. */
  readonly first?: readonly string[];
  /** Where the run's guests come from; the stack's own by default. */
  readonly source?: GuestSource;
  /** How many suites run at once, each in a guest of its own; 1 by default: all in one guest. */
  readonly jobs?: number;
  /** Takes the time of the run's parts. */
  readonly phases?: Phases;
  /** Whether the guest is stopped after the run. */
  readonly stopAfter: boolean;
}

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
  const planned = planRun(files.runId, manifest, build, request);
  const plan = { ...planned, suites: firstOf(planned.suites, request.first ?? []) };
  log.write(`image ${build.imageId}, kernel ${build.kernelRelease}, source ${build.sourceHash}`);
  if (repetition) log.write(`repetition ${repetition.number} of ${repetition.most}`);
  if (selection) log.write(`selected: ${describeSelection(selection)}`);
  if (seed !== undefined) {
    const order = `random order, seed ${seed}: ${plan.suites.map(({ name }) => name).join(", ")}`;
    log.write(order);
    progress.line(order);
  }

  const began = performance.now();
  const { outcome, console } = await outcomeOf(request, plan, progress, log, signal);
  const verdict = inRepetition(outcome.verdict, repetition);
  const report: RunReport = {
    runId: files.runId,
    stack,
    kernelRelease: outcome.kernelRelease || build.kernelRelease,
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

interface Outcome {
  readonly outcome: RunOutcome;
  /** What the guest's console showed meanwhile. */
  readonly console: string;
}

/** All suites in one guest, or each in one of its own, some at once. */
async function outcomeOf(
  request: TestRequest,
  plan: RunPlan,
  progress: Progress,
  log: LogFile,
  signal: AbortSignal | undefined,
): Promise<Outcome> {
  const jobs = request.jobs ?? 1;
  if (jobs === 1 || plan.suites.length < 2) return inGuest(request, plan, progress, log, signal);
  const limit = pLimit(jobs);
  // One for all: the stack's own guest takes its runs one after the other.
  const source = request.source ?? ownGuest(request.guest);
  const parts = await Promise.allSettled(
    plan.suites.map((suite) => {
      const part = { ...plan, suites: [suite] };
      const own = named(progress, suite.name);
      return limit(() => inGuest({ ...request, source }, part, own, log, signal));
    }),
  );
  const outcomes = parts.map((part) => {
    // Thrown when all have ended: no guest is left behind.
    if (part.status === "rejected") throw part.reason;
    return part.value;
  });
  return {
    outcome: mergeOutcomes(
      outcomes.map(({ outcome }) => outcome),
      plan.selection,
    ),
    console: outcomes.map(({ console }) => console).join("\n"),
  };
}

async function inGuest(
  request: TestRequest,
  plan: RunPlan,
  progress: Progress,
  log: LogFile,
  signal: AbortSignal | undefined,
): Promise<Outcome> {
  const { guest: place, phases = new Phases() } = request;
  const source = request.source ?? ownGuest(place);
  // Of several parts, those that had not begun.
  if (signal?.aborted) return withoutGuest(plan, "cancelled", "cancelled before a guest was ready");
  let open: OpenGuest;
  try {
    open = await phases.time("guest", () => source(plan, progress, log, signal));
    log.write("the guest is ready");
  } catch (error) {
    // The terminal's Ctrl-C ends the programs that were being waited for as well, with other errors.
    const cancelled = signal?.aborted === true && error instanceof Error;
    if (!(error instanceof LabError) && !cancelled) throw error;
    const next = error instanceof LabError ? error.next : undefined;
    log.write([error.message, next ?? ""].join("\n").trim());
    const kind = error instanceof LabError && !cancelled ? kindOf(error.exitCode) : "cancelled";
    // The rest of the message, such as lines of the console, is in the log.
    return withoutGuest(plan, kind, error.message.split("\n")[0] ?? "");
  }
  try {
    const witness = await consoleWitness(open.consoleFile, open.domain, place.libvirtUri);
    const outcome = await runSuites({
      guest: open.guest,
      plan,
      progress,
      log,
      witness,
      phases,
      fresh: open.fresh,
      decode: decoder(request, log),
      ...(signal && { signal }),
    });
    return { outcome, console: await witness.consoleSinceStart() };
  } finally {
    await phases.time("end", () => open.close());
  }
}

/** Finds the source lines of crashes in the modules that the build has made. */
function decoder(
  { build, manifest }: TestRequest,
  log: LogFile,
): NonNullable<RunContext["decode"]> {
  const { folder, imageId } = build;
  const modules = new Map(
    manifest.module.artefacts.map((file) => [
      moduleName(file),
      join(folder, manifest.module.folder, file),
    ]),
  );
  return async (reports) => {
    try {
      const { sysroot } = await openImage(imageId);
      return await decodeCrashes(reports, { folder, modules, sysroot }, log);
    } catch (error) {
      if (!(error instanceof LabError)) throw error;
      // The image may be gone by now.
      log.write(`no source lines: ${error.message}`);
      return reports;
    }
  };
}

/** The outcome of a run that got no guest. */
function withoutGuest(plan: RunPlan, kind: VerdictKind, reason: string): Outcome {
  const outcome = {
    verdict: { kind, reason: oneLine(reason) },
    suites: plan.suites.map(notRun),
    moduleProblems: [],
    crashes: [],
    kernelRelease: "",
  };
  return { outcome, console: "" };
}

/** The verdict on a guest that did not get ready. */
function kindOf(exitCode: ExitCode): VerdictKind {
  if (exitCode === ExitCode.hung) return "hung";
  if (exitCode === ExitCode.crashed) return "crashed";
  return "infrastructure-failed";
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
  if (shown !== "") await writeFile(files.console, shown);
  await writeJunit(files.junit, report);
  await writeJson(files.json, report);
  await pointLatest(request.results, report.runId);
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
