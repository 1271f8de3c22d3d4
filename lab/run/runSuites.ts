/**
 * A whole run in a guest: prepare, then for each suite load, run, look at the kernel, unload; in the
 * end one verdict. What the guest does is never thrown: it becomes part of the verdict.
 */
import { setTimeout as delay } from "node:timers/promises";
import { crashReports, showsEnd } from "../console/crashParser.ts";
import { bareReport, type CrashReport } from "../console/crashReport.ts";
import type { StackFrame } from "../console/stackFrames.ts";
import { decodedLines } from "../console/sourceLines.ts";
import { GuestError } from "../guest/session.ts";
import { Phases } from "../report/phases.ts";
import { formatDuration, type Progress } from "../report/progress.ts";
import { isFailure } from "./cases.ts";
import { askKernel, type AskLimits, type KernelAnswer } from "./askKernel.ts";
import type { Guest, GuestWitness, RunLog } from "./guest.ts";
import { judge, type RunFacts } from "./judge.ts";
import { KernelWatch, type KernelState } from "./kernelLog.ts";
import { loadModules, unloadModules } from "./load.ts";
import type { PlannedSuite, RunPlan } from "./plan.ts";
import { releaseMounts, runningKernel, uploadTree } from "./prepare.ts";
import { caseAt, notRun, runSuite } from "./suite.ts";
import type { CaseResult, Crash, Hang, SuiteResult, Verdict } from "./verdict.ts";

/** Adds source lines to the frames of traces. */
export type Decode = <T extends { readonly frames: readonly StackFrame[] }>(
  traces: readonly T[],
) => Promise<readonly T[]>;

export interface RunContext {
  readonly guest: Guest;
  readonly plan: RunPlan;
  readonly progress: Progress;
  readonly log: RunLog;
  readonly witness: GuestWitness;
  /** Aborting it cancels the run; the modules are then unloaded as far as possible. */
  readonly signal?: AbortSignal;
  /** Nothing of an earlier run is in the guest. */
  readonly fresh?: boolean;
  /** Takes the time of copying, loading and running. */
  readonly phases?: Phases;
  /** Finds the source lines of crashes; a failure of its own must not be one of the run's. */
  readonly decode?: Decode;
  /** Milliseconds that a dying kernel gets for its last words on the console; default 5 s. */
  readonly lastWordsMs?: number;
  /** For the question what the kernel of a hanging guest does. */
  readonly askLimits?: AskLimits;
}

export interface RunOutcome {
  readonly verdict: Verdict;
  readonly suites: readonly SuiteResult[];
  readonly moduleProblems: readonly string[];
  readonly crashes: readonly Crash[];
  readonly hangs?: readonly Hang[];
  /** The guest's kernel; empty when it was never reached. */
  readonly kernelRelease: string;
}

const consoleIntervalMs = 1_000;
const lastWordsMs = 5_000;
const cleanUpMs = 15_000;
const mostCrashes = 20;
/** Lines of the kernel log shown with a module that did not load; the run's log has all. */
const shownKernelLines = 15;

/** Runs the plan. Throws only for faults of vexlab itself. */
export async function runSuites(context: RunContext): Promise<RunOutcome> {
  return new Run(context).run();
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

class Run {
  private readonly died = new AbortController();
  private readonly suites: SuiteResult[] = [];
  private readonly hangs: Hang[] = [];
  private readonly facts: Mutable<Omit<RunFacts, "suites">> = {
    moduleProblems: [],
    crashes: [],
    cancelled: false,
  };
  private readonly stop: AbortSignal;
  private readonly phases: Phases;
  private kernelRelease = "";
  /** What is under way, for sentences such as "the kernel crashed during …". */
  private doing = "the preparation";

  constructor(private readonly context: RunContext) {
    const { signal } = context;
    this.phases = context.phases ?? new Phases();
    this.stop = signal ? AbortSignal.any([signal, this.died.signal]) : this.died.signal;
  }

  async run(): Promise<RunOutcome> {
    const watching = this.watchConsole();
    try {
      const watch = await this.prepare();
      if (watch)
        for (const suite of this.context.plan.suites) if (!(await this.suite(suite, watch))) break;
    } catch (error) {
      if (!(error instanceof GuestError)) throw error;
      await this.takeLoss(error);
    } finally {
      clearInterval(watching);
    }
    if (this.facts.cancelled) await this.cleanUp();
    const done = new Set(this.suites.map((suite) => suite.name));
    const rest = this.context.plan.suites.filter((suite) => !done.has(suite.name)).map(notRun);
    const suites = [...this.suites, ...rest];
    const { moduleProblems, crashes } = this.facts;
    const verdict = judge({ ...this.facts, suites, selection: this.context.plan.selection });
    return {
      ...{ verdict, suites, moduleProblems, crashes, kernelRelease: this.kernelRelease },
      ...(this.hangs.length > 0 && { hangs: this.hangs }),
    };
  }

  private async prepare(): Promise<KernelWatch | undefined> {
    const { guest, plan, log, progress, fresh = false } = this.context;
    if (this.stop.aborted) throw new GuestError("cancelled", "cancelled before the run began");
    this.kernelRelease = await this.phases.time("check", () => runningKernel(guest));
    if (this.kernelRelease !== plan.kernelRelease) {
      this.facts.loadFailure = `it was built for kernel ${plan.kernelRelease}, the guest runs ${this.kernelRelease}`;
      return undefined;
    }
    const step = progress.step("copying the built tree into the guest");
    try {
      const { watch, state } = await this.phases.time("check", async () => {
        if (!fresh) await releaseMounts(guest, plan, log);
        return KernelWatch.begin(guest, plan.runId);
      });
      const stale = await unloadModules(guest, plan, log, state.modules);
      if (stale.length > 0) {
        this.facts.loadFailure = `an older build is still loaded: ${stale.join("; ")}`;
        step.failed();
        return undefined;
      }
      log.write(`copying ${plan.localFolder} to ${plan.remoteFolder} in the guest`);
      await this.phases.time("copy", () => uploadTree(guest, plan, fresh, this.stop));
      step.done();
      return watch;
    } catch (error) {
      step.failed();
      throw error;
    }
  }

  /** The suite that is under way or has just ended. */
  private get runningSuite(): SuiteResult | undefined {
    return this.suites.find(({ name }) => this.doing === `suite ${name}`);
  }

  /** What is under way, with the case that a suite had begun. */
  private get under(): string {
    const running = this.runningSuite?.underWay;
    return running === undefined ? this.doing : `${this.doing}, case "${running}"`;
  }

  /** Whether the run goes on after this suite. */
  private async suite(suite: PlannedSuite, watch: KernelWatch): Promise<boolean> {
    const { log, progress } = this.context;
    if (suite.load && !(await this.phases.time("load", () => this.load(suite, watch))))
      return false;
    this.doing = `suite ${suite.name}`;
    log.write(`\n== suite ${suite.name}: ${suite.command.join(" ")}`);
    const step = progress.step(this.doing);
    let answer: KernelAnswer | undefined;
    const look = async (): Promise<void> => {
      answer = await this.ask();
    };
    const around = { ...this.context, died: this.died.signal, look };
    const { result, lost } = await this.phases.time("run", () => runSuite(around, suite));
    this.suites.push(result);
    if (answer !== undefined) await this.takeHang(answer);
    const took = formatDuration(result.milliseconds);
    log.write(`== suite ${suite.name}: ${summary(result)} (${took})`);
    const bad = result.problems.length > 0 || result.cases.some((each) => isFailure(each.outcome));
    if (bad || result.ending !== "exited") step.failed(summary(result));
    else step.done(summary(result));

    if (result.ending === "cancelled") {
      this.facts.cancelled = true;
      return false;
    }
    if (lost) throw lost;
    if (result.ending === "crashed")
      throw new GuestError("lost", "the console shows that its kernel has come to an end");

    const state = await this.checkpoint(watch, `after suite ${suite.name}`);
    if (state.crashes.length > 0) return false;
    const goesOn = await this.unload(suite, watch, state, result.ending === "exited");
    return goesOn && !(this.context.plan.stopAtFirst && bad);
  }

  /** Logs what the kernel said since the last checkpoint; a crash in it becomes the run's. */
  private async checkpoint(watch: KernelWatch, next: string): Promise<KernelState> {
    const state = await this.phases.time("check", () => watch.checkpoint(next));
    for (const line of state.lines) this.context.log.write(`kernel: ${line}`);
    await this.takeCrashes(state.crashes, state.time);
    return state;
  }

  private async load(suite: PlannedSuite, watch: KernelWatch): Promise<boolean> {
    const { guest, plan, log, progress } = this.context;
    this.doing = `loading the module for suite ${suite.name}`;
    const step = progress.step("loading the module");
    try {
      const failure = await loadModules(guest, plan, log, this.stop);
      const state = await this.checkpoint(watch, `suite ${suite.name}`);
      if (failure === undefined && state.crashes.length === 0) {
        step.done();
        return true;
      }
      step.failed(failure);
      for (const line of state.lines.slice(-shownKernelLines)) progress.line(line);
      if (failure !== undefined)
        this.facts.loadFailure = `${failure}${lastKernelWord(state.lines)}`;
      return false;
    } catch (error) {
      step.failed();
      throw error;
    }
  }

  private async unload(
    suite: PlannedSuite,
    watch: KernelWatch,
    state: KernelState,
    ended: boolean,
  ): Promise<boolean> {
    const { guest, plan, log, progress } = this.context;
    if (!plan.modules.some(({ name }) => state.modules.has(name))) return true;
    this.doing = `unloading the module after suite ${suite.name}`;
    if (!ended) await releaseMounts(guest, plan, log);
    const problems = (await unloadModules(guest, plan, log, state.modules)).map(
      (problem) => `after suite ${suite.name}: ${problem}`,
    );
    for (const problem of problems) progress.line(problem);
    this.facts.moduleProblems = [...this.facts.moduleProblems, ...problems];
    const { crashes } = await this.checkpoint(watch, `unloaded after ${suite.name}`);
    return problems.length === 0 && crashes.length === 0;
  }

  private readonly decoded: Decode = async (traces) => {
    const { decode } = this.context;
    return decode ? this.phases.time("decode", () => decode(traces)) : traces;
  };

  /** @param now the time of the kernel's log, where it is known */
  private async takeCrashes(reports: readonly CrashReport[], now?: number): Promise<void> {
    if (reports.length === 0) return;
    const { log, progress } = this.context;
    const decoded = await this.decoded(reports);
    const suite = this.runningSuite;
    this.facts.crashes = decoded.slice(0, mostCrashes).map((report): Crash => {
      const running = suite && caseAt(suite, report.time, now);
      return {
        ...report,
        during: this.doing,
        ...(suite && { suite: suite.name }),
        ...(running !== undefined && { case: running }),
      };
    });
    for (const crash of this.facts.crashes) {
      progress.line(`crash: ${crash.title}`);
      log.write(`crash: ${crash.kind}: ${crash.title}`);
      for (const line of decodedLines(crash)) log.write(`crash: ${line}`);
    }
  }

  /** The guest no longer answers, or our own abort came back: finds out which it is. */
  private async takeLoss(error: GuestError): Promise<void> {
    const { witness, log, signal } = this.context;
    log.write(error.message);
    if (signal?.aborted) {
      this.facts.cancelled = true;
      return;
    }
    const reports = await this.lastWords();
    if (reports.length > 0) {
      await this.takeCrashes(reports);
      return;
    }
    const state = await witness.domainState();
    if (state === "crashed")
      await this.takeCrashes([bareReport("panic", "libvirt reports that the guest crashed")]);
    else if (error.fault === "transfer") this.facts.infrastructure = error.message;
    else if (state === "stopped")
      this.facts.infrastructure = `the guest stopped during ${this.under}: ${error.message}`;
    else if (error.fault === "deadline" || error.fault === "silence") await this.takeSilence(error);
    else
      this.facts.infrastructure = `the connection broke during ${this.under} while the guest's state is "${state}": ${error.message}`;
  }

  private async takeSilence(error: GuestError): Promise<void> {
    const answer = await this.ask();
    // What it does may be known to the kernel itself by now.
    const reports = crashReports(await this.context.witness.consoleSinceStart());
    if (reports.length > 0) {
      await this.takeCrashes(reports);
      return;
    }
    this.facts.hung = `the guest hung during ${this.under}: ${error.message}`;
    if (answer !== undefined) await this.takeHang(answer);
  }

  private async ask(): Promise<KernelAnswer | undefined> {
    if (this.died.signal.aborted) return undefined;
    const step = this.context.progress.step("asking the kernel what it does");
    const { askLimits } = this.context;
    const answer = await this.phases.time("check", () => askKernel(this.context, askLimits));
    if (answer === undefined) step.failed("it does not answer");
    else step.done(answer.title);
    return answer;
  }

  private async takeHang(answer: KernelAnswer): Promise<void> {
    const { log } = this.context;
    const [decoded = answer] = await this.decoded([answer]);
    const suite = this.runningSuite;
    const running = suite?.underWay ?? suite?.cases.findLast(isTimedOut)?.name;
    this.hangs.push({
      ...decoded,
      during: this.doing,
      ...(suite && { suite: suite.name }),
      ...(running !== undefined && { case: running }),
    });
    for (const line of decodedLines(decoded)) log.write(`hang: ${line}`);
  }

  private async lastWords(): Promise<CrashReport[]> {
    const until = performance.now() + (this.context.lastWordsMs ?? lastWordsMs);
    let before: string | undefined;
    for (;;) {
      const text = await this.context.witness.consoleSinceStart();
      // The trace of a panic comes after what it is called by.
      const complete = text === before && showsEnd(text);
      if (complete || performance.now() >= until) return crashReports(text);
      before = text;
      await delay(Math.min(consoleIntervalMs / 2, until - performance.now() + 1));
    }
  }

  private async cleanUp(): Promise<void> {
    const { guest, plan, log } = this.context;
    const work = async (): Promise<void> => {
      await releaseMounts(guest, plan, log);
      const loaded = new Set(plan.modules.map(({ name }) => name));
      await unloadModules(guest, plan, log, loaded);
    };
    const timer = new AbortController();
    await Promise.race([
      work().catch((error: unknown) => log.write(`after cancelling: ${String(error)}`)),
      delay(cleanUpMs, undefined, { signal: timer.signal }).catch(() => undefined),
    ]);
    timer.abort();
  }

  // A guest that panics or restarts keeps its connections open: only its console tells.
  private watchConsole(): NodeJS.Timeout {
    let looking = false;
    return setInterval(() => {
      if (looking || this.died.signal.aborted) return;
      looking = true;
      void this.context.witness
        .consoleSinceStart()
        .then((text) => showsEnd(text) && this.died.abort())
        .catch(() => undefined)
        .finally(() => (looking = false));
    }, consoleIntervalMs);
  }
}

const isTimedOut = ({ outcome }: CaseResult): boolean => outcome === "timedOut";

function summary({ cases, ending, milliseconds, notSelected = 0 }: SuiteResult): string {
  const failed = cases.filter((each) => isFailure(each.outcome)).length;
  const skipped = cases.filter((each) => each.outcome === "skipped").length;
  const parts = [`${cases.length - failed - skipped} passed`];
  if (failed > 0) parts.push(`${failed} failed`);
  if (skipped > 0) parts.push(`${skipped} skipped`);
  if (notSelected > 0) parts.push(`${notSelected} not selected`);
  if (ending === "stopped") parts.push("stopped");
  else if (ending !== "exited")
    parts.push(`ended by ${ending} after ${formatDuration(milliseconds)}`);
  return parts.join(", ");
}

function lastKernelWord(lines: readonly string[]): string {
  const last = lines.at(-1)?.replace(/^\[[^\]]*\]\s*/, "");
  return last === undefined ? "" : ` (kernel log: ${last})`;
}
