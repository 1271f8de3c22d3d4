/**
 * A whole run in a guest: prepare, then for each suite load, run, look at the kernel, unload; in the
 * end one verdict. What the guest does is never thrown: it becomes part of the verdict.
 */
import { setTimeout as delay } from "node:timers/promises";
import { GuestError } from "../guest/session.ts";
import { Phases } from "../report/phases.ts";
import { formatDuration, type Progress } from "../report/progress.ts";
import { isFailure } from "./cases.ts";
import type { AskLimits, KernelAnswer } from "./askKernel.ts";
import { watchForEnd } from "./endWatch.ts";
import { Evidence, type Decode } from "./evidence.ts";
import type { Guest, GuestWitness, RunLog } from "./guest.ts";
import { mortalGuest } from "./mortalGuest.ts";
import { judge } from "./judge.ts";
import { findLeaks } from "./leaks.ts";
import { KernelWatch, type KernelState } from "./kernelLog.ts";
import { loadModules, unloadModules } from "./load.ts";
import { noteModuleAddresses } from "./moduleAddresses.ts";
import type { PlannedSuite, RunPlan } from "./plan.ts";
import { releaseMounts, uploadTree } from "./prepare.ts";
import { notRun, runSuite } from "./suite.ts";
import type { Crash, Hang, MemoryDump, Retry, SuiteResult, Verdict } from "./verdict.ts";

export interface RunContext {
  readonly guest: Guest;
  readonly plan: RunPlan;
  readonly progress: Progress;
  readonly log: RunLog;
  readonly witness: GuestWitness;
  /** Aborting it cancels the run; the modules are then unloaded as far as possible. */
  readonly signal?: AbortSignal;
  /** Aborted when libvirt says that the guest's kernel has crashed. */
  readonly crashed?: AbortSignal;
  /** Nothing of an earlier run is in the guest. */
  readonly fresh?: boolean;
  /** An oops ends in a panic. */
  readonly panicOnOops?: boolean;
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
  readonly retried?: readonly Retry[];
  readonly dumps?: readonly MemoryDump[];
  /** The guest's kernel; empty when it was never reached. */
  readonly kernelRelease: string;
}

const cleanUpMs = 15_000;
/** Lines of the kernel log shown with a module that did not load; the run's log has all. */
const shownKernelLines = 15;

/** Runs the plan. Throws only for faults of vexlab itself. */
export async function runSuites(context: RunContext): Promise<RunOutcome> {
  return new Run(context).run();
}

class Run {
  private readonly died = new AbortController();
  private readonly suites: SuiteResult[] = [];
  private readonly evidence: Evidence;
  private moduleProblems: readonly string[] = [];
  private loadFailure: string | undefined;
  private readonly stop: AbortSignal;
  private readonly phases: Phases;
  private kernelRelease = "";
  private readonly context: RunContext;

  constructor(context: RunContext) {
    const { guest, signal, crashed } = context;
    this.context = { ...context, guest: mortalGuest(guest, this.died.signal) };
    crashed?.addEventListener("abort", () => this.died.abort(), { once: true });
    this.phases = context.phases ?? new Phases();
    this.stop = signal ? AbortSignal.any([signal, this.died.signal]) : this.died.signal;
    this.evidence = new Evidence(this.context, this.phases, this.died.signal);
  }

  async run(): Promise<RunOutcome> {
    const { evidence } = this;
    // A guest that panics or restarts keeps its connections open: only its console tells.
    const stopWatching = watchForEnd(this.context.witness, () => this.died.abort());
    try {
      const watch = await this.prepare();
      if (watch)
        for (const suite of this.context.plan.suites) if (!(await this.suite(suite, watch))) break;
    } catch (error) {
      if (!(error instanceof GuestError)) throw error;
      await evidence.takeLoss(error);
    } finally {
      stopWatching();
    }
    if (evidence.cancelled) await this.cleanUp();
    const done = new Set(this.suites.map((suite) => suite.name));
    const rest = this.context.plan.suites.filter((suite) => !done.has(suite.name)).map(notRun);
    const suites = [...this.suites, ...rest];
    const { moduleProblems, loadFailure, kernelRelease } = this;
    const { crashes, hangs } = evidence;
    const verdict = judge({
      ...evidence.facts,
      ...{ suites, moduleProblems, selection: this.context.plan.selection },
      ...(loadFailure !== undefined && { loadFailure }),
    });
    return {
      ...{ verdict, suites, moduleProblems, crashes, kernelRelease },
      ...(hangs.length > 0 && { hangs }),
    };
  }

  private async prepare(): Promise<KernelWatch | undefined> {
    const { guest, plan, log, progress, fresh = false } = this.context;
    if (this.stop.aborted) throw new GuestError("cancelled", "cancelled before the run began");
    const step = progress.step("copying the built tree into the guest");
    const copy = (): Promise<void> => {
      log.write(`copying ${plan.localFolder} to ${plan.remoteFolder} in the guest`);
      return uploadTree(guest, plan, fresh, this.stop);
    };
    // Nothing in a fresh guest can be in the way.
    const copying = fresh ? copy() : undefined;
    copying?.catch(() => undefined);
    try {
      const watch = await this.phases.time("check", () => this.firstLook());
      if (watch || copying) await this.phases.time("copy", () => copying ?? copy());
      if (watch === undefined) step.failed();
      else step.done();
      return watch;
    } catch (error) {
      step.failed();
      throw error;
    }
  }

  /** What the guest is before the run; undefined when the module can't be loaded there. */
  private async firstLook(): Promise<KernelWatch | undefined> {
    const { guest, plan, log, fresh = false, panicOnOops } = this.context;
    if (!fresh) await releaseMounts(guest, plan, log);
    const { watch, state } = await KernelWatch.begin(guest, plan.runId, { panicOnOops });
    this.kernelRelease = state.release;
    if (state.release !== plan.kernelRelease) {
      this.loadFailure = `it was built for kernel ${plan.kernelRelease}, the guest runs ${state.release}`;
      return undefined;
    }
    if (plan.looksForLeaks) await noteModuleAddresses(guest, plan, plan.patience);
    const stale = await unloadModules(guest, plan, log, state.modules);
    if (stale.length === 0) return watch;
    this.loadFailure = `an older build is still loaded: ${stale.join("; ")}`;
    return undefined;
  }

  /** Whether the run goes on after this suite. */
  private async suite(suite: PlannedSuite, watch: KernelWatch): Promise<boolean> {
    const { log, progress } = this.context;
    if (suite.load && !(await this.phases.time("load", () => this.load(suite, watch))))
      return false;
    const doing = `suite ${suite.name}`;
    this.evidence.during(doing);
    log.write(`\n== suite ${suite.name}: ${suite.command.join(" ")}`);
    const step = progress.step(doing);
    let answer: KernelAnswer | undefined;
    const look = async (): Promise<void> => {
      answer = await this.evidence.ask();
    };
    const around = { ...this.context, died: this.died.signal, look };
    const { result, lost } = await this.phases.time("run", () => runSuite(around, suite));
    this.suites.push(result);
    this.evidence.during(doing, result);
    if (answer !== undefined) await this.evidence.takeHang(answer);
    const took = formatDuration(result.milliseconds);
    log.write(`== suite ${suite.name}: ${summary(result)} (${took})`);
    const bad = result.problems.length > 0 || result.cases.some((each) => isFailure(each.outcome));
    if (bad || result.ending !== "exited") step.failed(summary(result));
    else step.done(summary(result));

    if (result.ending === "cancelled") {
      this.evidence.cancelled = true;
      return false;
    }
    if (lost) throw lost;
    if (result.ending === "crashed")
      throw new GuestError("lost", "the console shows that its kernel has come to an end");

    const state = await this.checkpoint(watch, `after suite ${suite.name}`);
    if (state.crashes.length > 0 || (await this.leaked(state))) return false;
    const goesOn = await this.unload(suite, watch, state, result.ending === "exited");
    return goesOn && !(this.context.plan.stopAtFirst && bad);
  }

  /** Logs what the kernel said since the last checkpoint; a crash in it becomes the run's. */
  private async checkpoint(watch: KernelWatch, next: string): Promise<KernelState> {
    const state = await this.phases.time("check", () => watch.checkpoint(next));
    for (const line of state.lines) this.context.log.write(`kernel: ${line}`);
    await this.evidence.takeCrashes(state.crashes, state.time);
    return state;
  }

  /** Whether the suite that has just ended has lost memory, where the kernel can tell. */
  private async leaked({ time }: KernelState): Promise<boolean> {
    const { guest, plan, log, progress } = this.context;
    if (plan.looksForLeaks !== true) return false;
    const step = progress.step("looking for lost memory");
    try {
      const leaks = await this.phases.time("check", () => findLeaks(guest, plan, log));
      await this.evidence.takeCrashes(leaks, time);
      if (leaks.length === 0) step.done();
      else step.failed(leaks.map(({ title }) => title).join("; "));
      return leaks.length > 0;
    } catch (error) {
      step.failed();
      throw error;
    }
  }

  private async load(suite: PlannedSuite, watch: KernelWatch): Promise<boolean> {
    const { guest, plan, log, progress } = this.context;
    this.evidence.during(`loading the module for suite ${suite.name}`);
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
      if (failure !== undefined) this.loadFailure = `${failure}${lastKernelWord(state.lines)}`;
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
    this.evidence.during(`unloading the module after suite ${suite.name}`);
    if (!ended) await releaseMounts(guest, plan, log);
    const problems = (await unloadModules(guest, plan, log, state.modules)).map(
      (problem) => `after suite ${suite.name}: ${problem}`,
    );
    for (const problem of problems) progress.line(problem);
    this.moduleProblems = [...this.moduleProblems, ...problems];
    const { crashes } = await this.checkpoint(watch, `unloaded after ${suite.name}`);
    return problems.length === 0 && crashes.length === 0;
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
}

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
