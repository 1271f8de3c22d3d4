/**
 * The suites of a run in the guests that it takes: one for all as far as it lives, or one for each. No
 * guest is left behind, and one that can't be had is a verdict.
 */
import { join } from "node:path";
import pLimit from "p-limit";
import { ExitCode, LabError } from "../config/errors.ts";
import type { PanicMode } from "../config/panicMode.ts";
import { watchForCrash } from "../hypervisor/crashWatch.ts";
import { builtImage, openImage } from "../image/image.ts";
import type { LogFile } from "../report/log.ts";
import { Phases } from "../report/phases.ts";
import { named, type Progress } from "../report/progress.ts";
import { consoleWitness } from "./consoleWitness.ts";
import { decodeCrashes } from "./decodeCrashes.ts";
import { oneLine } from "./judge.ts";
import { keepMemory, rememberKernel } from "./keepMemory.ts";
import { mergeOutcomes } from "./mergeOutcomes.ts";
import { ownGuest, type OpenGuest } from "./openGuest.ts";
import { moduleName } from "./moduleOrder.ts";
import type { RunPlan } from "./plan.ts";
import { runSuites, type RunContext, type RunOutcome } from "./runSuites.ts";
import { notRun } from "./suite.ts";
import type { TestRequest } from "./testRequest.ts";
import type { MemoryDump, Retry, SuiteResult, Verdict, VerdictKind } from "./verdict.ts";

/** What is the same for all guests of a run. */
export interface Surroundings {
  readonly request: TestRequest;
  readonly progress: Progress;
  readonly log: LogFile;
  readonly signal: AbortSignal | undefined;
  /** The folder of the run's results. */
  readonly folder: string;
  /** Of files that there may be several of. */
  readonly numbers: { dumps: number };
}

export interface Outcome {
  readonly outcome: RunOutcome;
  /** What the guest's console showed meanwhile. */
  readonly console: string;
}

interface Part extends Outcome {
  /** The infrastructure failed in a way that may not be there in another guest. */
  readonly mayPass?: boolean;
}

/** All suites in one guest as far as it lives, or each in one of its own, some at once. */
export async function outcomeOf(around: Surroundings, plan: RunPlan): Promise<Outcome> {
  const { request, progress } = around;
  const jobs = request.jobs ?? 1;
  if (jobs === 1 || plan.suites.length < 2) return inGuests(around, plan);
  const limit = pLimit(jobs);
  // One for all: the stack's own guest takes its runs one after the other.
  const source = request.source ?? ownGuest(request.guest);
  const parts = await Promise.allSettled(
    plan.suites.map((suite) => {
      const part = { ...plan, suites: [suite] };
      const own = { request: { ...request, source }, progress: named(progress, suite.name) };
      return limit(() => inGuests({ ...around, ...own }, part));
    }),
  );
  const outcomes = parts.map((part) => {
    // Thrown when all have ended: no guest is left behind.
    if (part.status === "rejected") throw part.reason;
    return part.value;
  });
  return merged(outcomes, plan);
}

function merged(parts: readonly Outcome[], { selection }: RunPlan): Outcome {
  return {
    outcome: mergeOutcomes(
      parts.map(({ outcome }) => outcome),
      selection,
    ),
    console: parts.map(({ console }) => console).join("\n"),
  };
}

/**
 * All suites in one guest; those that a crash or a hang of it has left over, in another one. A guest
 * that was lost without a crash is replaced once: that is nobody's fault, or it happens again.
 */
async function inGuests(around: Surroundings, plan: RunPlan): Promise<Outcome> {
  const { progress, log, signal } = around;
  const parts: Outcome[] = [];
  let lost: string | undefined;
  for (let left = plan.suites; ;) {
    const part = await inGuest(around, { ...plan, suites: left });
    const { suites } = part.outcome;
    const verdict = twice(part.outcome.verdict, lost);
    const ran = suites.filter(({ ending }) => ending !== "notRun");
    if (part.mayPass === true && lost === undefined && !signal?.aborted) {
      lost = verdict.reason;
      // Of the last one that ran it is not known what it did to the kernel.
      const judged = ran.slice(0, -1);
      left = without(left, judged);
      parts.push(replaced(part, judged, { reason: lost, suites: left.map(nameOf) }));
      const again = `${lost}; in another guest again: ${left.map(nameOf).join(", ")}`;
      progress.line(again);
      log.write(again);
      continue;
    }
    const rest = without(left, ran);
    // Where not even one suite was begun, the next guest would come no further.
    if (!isBroken(verdict) || ran.length === 0 || rest.length === 0 || signal?.aborted)
      return parts.length === 0
        ? part
        : merged([...parts, { ...part, outcome: { ...part.outcome, verdict } }], plan);
    parts.push({ ...part, outcome: { ...part.outcome, suites: ran } });
    left = rest;
    const others = `${verdict.reason}; the other suites run in another guest`;
    progress.line(others);
    log.write(others);
  }
}

const without = <T extends Named>(all: readonly T[], some: readonly Named[]): T[] =>
  all.filter(({ name }) => !some.some((each) => each.name === name));

/** A failure of the infrastructure says that it was not the first. */
function twice({ kind, reason }: Verdict, lost: string | undefined): Verdict {
  if (kind !== "infrastructure-failed" || lost === undefined) return { kind, reason };
  return { kind, reason: reason === lost ? `${reason}, twice` : `${reason}; before that, ${lost}` };
}

/** What stays of a guest that is replaced: the suites that were judged. */
function replaced(
  { outcome, console }: Outcome,
  suites: readonly SuiteResult[],
  retry: Retry,
): Outcome {
  const retried = [...(outcome.retried ?? []), retry];
  // What the cases come to is decided with those of the others.
  const verdict = { kind: "passed", reason: "" } as const;
  return { outcome: { ...outcome, verdict, suites, retried }, console };
}

async function inGuest(around: Surroundings, plan: RunPlan): Promise<Part> {
  const { request, progress, log, signal, numbers } = around;
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
    const none = withoutGuest(plan, kind, error.message.split("\n")[0] ?? "");
    return {
      ...none,
      mayPass: error instanceof LabError && error.exitCode === ExitCode.infrastructureFailed,
    };
  }
  const crashed = new AbortController();
  let endWatch = (): void => undefined;
  try {
    const { domain } = open;
    endWatch = watchForCrash(place.libvirtUri, domain, () => crashed.abort());
    const modules = builtModules(request);
    const kallsyms = request.dumpMemory ? await rememberKernel(open.guest, around) : undefined;
    const witness = await consoleWitness(open.consoleFile, domain, place.libvirtUri);
    const outcome = await runSuites({
      guest: open.guest,
      plan,
      progress,
      log,
      witness,
      phases,
      fresh: open.fresh,
      crashed: crashed.signal,
      panicOnOops: panics(request.panicOnOops, open),
      decode: decoder(request, modules, log),
      ...(signal && { signal }),
      ...(request.lastWordsMs !== undefined && { lastWordsMs: request.lastWordsMs }),
    });
    const retried = open.instead && [{ reason: open.instead, suites: plan.suites.map(nameOf) }];
    const broken = isBroken(outcome.verdict) && !signal?.aborted;
    const kept = { ...around, libvirtUri: place.libvirtUri, domain };
    const dump: MemoryDump | undefined =
      kallsyms !== undefined && broken
        ? await phases.time("dump", () =>
            keepMemory({ ...kept, tree: request.build.folder, modules }, kallsyms, ++numbers.dumps),
          )
        : undefined;
    return {
      outcome: { ...outcome, ...(retried && { retried }), ...(dump && { dumps: [dump] }) },
      console: await witness.consoleSinceStart(),
      mayPass: outcome.verdict.kind === "infrastructure-failed",
    };
  } finally {
    endWatch();
    await phases.time("end", () => open.close());
  }
}

/** The files of the modules under test, by the names that the kernel gives them. */
function builtModules({ build }: TestRequest): ReadonlyMap<string, string> {
  const modules = build.artefacts.filter(({ path }) => path.endsWith(".ko"));
  return new Map(modules.map(({ path }) => [moduleName(path), join(build.folder, path)]));
}

/** Whether an oops ends in a panic: after it, nothing that the guest says is worth waiting for. */
function panics(mode: PanicMode, { fresh }: OpenGuest): boolean {
  return mode === "always" || (mode === "forks" && fresh);
}

/** Finds the source lines of crashes in the modules that the build has made. */
function decoder(
  { build }: TestRequest,
  modules: ReadonlyMap<string, string>,
  log: LogFile,
): NonNullable<RunContext["decode"]> {
  const { folder, imageId } = build;
  return async (traces) => {
    try {
      const { sysroot } = builtImage(await openImage(imageId));
      return await decodeCrashes(traces, { folder, modules, sysroot }, log);
    } catch (error) {
      if (!(error instanceof LabError)) throw error;
      // The image may be gone by now.
      log.write(`no source lines: ${error.message}`);
      return traces;
    }
  };
}

const isBroken = ({ kind }: Verdict): boolean => kind === "crashed" || kind === "hung";

interface Named {
  readonly name: string;
}

const nameOf = ({ name }: Named): string => name;

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
