/**
 * What became of the guest of a run, as its kernel, its console and the host tell it: crashes, hangs, a
 * connection that was lost. Each is found out once and said with what was under way then.
 */
import { setTimeout as delay } from "node:timers/promises";
import { crashReports, showsEnd } from "../console/crashParser.ts";
import { bareReport, type CrashReport } from "../console/crashReport.ts";
import { decodedLines } from "../console/sourceLines.ts";
import type { StackFrame } from "../console/stackFrames.ts";
import type { GuestError } from "../guest/session.ts";
import type { Phases } from "../report/phases.ts";
import type { Progress } from "../report/progress.ts";
import { askKernel, type AskLimits, type KernelAnswer } from "./askKernel.ts";
import type { Guest, GuestWitness, RunLog } from "./guest.ts";
import type { RunFacts } from "./judge.ts";
import { caseAt } from "./suite.ts";
import type { CaseResult, Crash, Hang, SuiteResult } from "./verdict.ts";

/** Adds source lines to the frames of traces. */
export type Decode = <T extends { readonly frames: readonly StackFrame[] }>(
  traces: readonly T[],
) => Promise<readonly T[]>;

export interface EvidenceSources {
  readonly guest: Guest;
  readonly witness: GuestWitness;
  readonly progress: Progress;
  readonly log: RunLog;
  readonly signal?: AbortSignal;
  readonly decode?: Decode;
  /** Milliseconds that a dying kernel gets for its last words on the console; default 5 s. */
  readonly lastWordsMs?: number;
  readonly askLimits?: AskLimits;
}

/** What of a run's facts is about its guest. */
type GuestFacts = Pick<RunFacts, "crashes" | "hung" | "infrastructure" | "cancelled">;

const lastWordsMs = 5_000;
const lastWordsIntervalMs = 500;
const mostCrashes = 20;

export class Evidence {
  cancelled = false;
  readonly hangs: Hang[] = [];
  crashes: readonly Crash[] = [];
  private hung: string | undefined;
  private infrastructure: string | undefined;
  /** What is under way, for sentences such as "the kernel crashed during …". */
  private doing = "the preparation";
  /** The suite that has just ended, while nothing else is under way. */
  private suite: SuiteResult | undefined;

  /** @param died aborted when the console has shown the kernel's end */
  constructor(
    private readonly sources: EvidenceSources,
    private readonly phases: Phases,
    private readonly died: AbortSignal,
  ) {}

  get facts(): GuestFacts {
    const { crashes, cancelled, hung, infrastructure } = this;
    return {
      ...{ crashes, cancelled },
      ...(hung !== undefined && { hung }),
      ...(infrastructure !== undefined && { infrastructure }),
    };
  }

  /** What follows belongs to this. */
  during(doing: string, suite?: SuiteResult): void {
    this.doing = doing;
    this.suite = suite;
  }

  /** @param now the time of the kernel's log, where it is known */
  async takeCrashes(reports: readonly CrashReport[], now?: number): Promise<void> {
    if (reports.length === 0) return;
    const { log, progress } = this.sources;
    const decoded = await this.decoded(reports);
    this.crashes = decoded
      .slice(0, mostCrashes)
      .map((report) => this.placed(report, (suite) => caseAt(suite, report.time, now)));
    for (const crash of this.crashes) {
      progress.line(`crash: ${crash.title}`);
      log.write(`crash: ${crash.kind}: ${crash.title}`);
      for (const line of decodedLines(crash)) log.write(`crash: ${line}`);
    }
  }

  async takeHang(answer: KernelAnswer): Promise<void> {
    const [decoded = answer] = await this.decoded([answer]);
    this.hangs.push(
      this.placed(decoded, ({ underWay, cases }) => underWay ?? cases.findLast(isTimedOut)?.name),
    );
    for (const line of decodedLines(decoded)) this.sources.log.write(`hang: ${line}`);
  }

  /** The guest no longer answers, or our own abort came back: finds out which it is. */
  async takeLoss(error: GuestError): Promise<void> {
    const { witness, log, signal } = this.sources;
    log.write(error.message);
    if (signal?.aborted) {
      this.cancelled = true;
      return;
    }
    const reports = await this.lastWords();
    if (reports.length > 0) {
      await this.takeCrashes(reports);
      return;
    }
    const state = await witness.domainState();
    const paused = await witness.whyPaused?.();
    if (paused !== undefined) this.infrastructure = `${paused} during ${this.under}`;
    else if (state === "crashed")
      await this.takeCrashes([bareReport("panic", "libvirt reports that the guest crashed")]);
    else if (error.fault === "transfer") this.infrastructure = error.message;
    else if (state === "stopped")
      this.infrastructure = `the guest stopped during ${this.under}: ${error.message}`;
    else if (error.fault === "deadline" || error.fault === "silence") await this.takeSilence(error);
    else
      this.infrastructure = `the connection broke during ${this.under} while the guest's state is "${state}": ${error.message}`;
  }

  /** Asks a kernel that hangs what it does; undefined when it does not say. */
  async ask(): Promise<KernelAnswer | undefined> {
    if (this.died.aborted) return undefined;
    const { progress, askLimits } = this.sources;
    const step = progress.step("asking the kernel what it does");
    const answer = await this.phases.time("check", () => askKernel(this.sources, askLimits));
    if (answer === undefined) step.failed("it does not answer");
    else step.done(answer.title);
    return answer;
  }

  private async takeSilence(error: GuestError): Promise<void> {
    const answer = await this.ask();
    // What it does may be known to the kernel itself by now.
    const reports = crashReports(await this.sources.witness.consoleSinceStart());
    if (reports.length > 0) {
      await this.takeCrashes(reports);
      return;
    }
    this.hung = `the guest hung during ${this.under}: ${error.message}`;
    if (answer !== undefined) await this.takeHang(answer);
  }

  private async lastWords(): Promise<CrashReport[]> {
    const { witness, lastWordsMs: limit = lastWordsMs } = this.sources;
    const until = performance.now() + limit;
    let before: string | undefined;
    for (;;) {
      const text = await witness.consoleSinceStart();
      // The trace of a panic comes after what it is called by.
      const complete = text === before && showsEnd(text);
      if (complete || performance.now() >= until) return crashReports(text);
      before = text;
      await delay(Math.min(lastWordsIntervalMs, until - performance.now() + 1));
    }
  }

  private async decoded<T extends { readonly frames: readonly StackFrame[] }>(
    traces: readonly T[],
  ): Promise<readonly T[]> {
    const { decode } = this.sources;
    return decode ? this.phases.time("decode", () => decode(traces)) : traces;
  }

  /** With what was under way; `caseOf` finds the case in the suite that has just ended. */
  private placed<T>(
    found: T,
    caseOf: (suite: SuiteResult) => string | undefined,
  ): T & Pick<Crash, "during" | "suite" | "case"> {
    const { doing, suite } = this;
    const running = suite && caseOf(suite);
    return {
      ...found,
      during: doing,
      ...(suite && { suite: suite.name }),
      ...(running !== undefined && { case: running }),
    };
  }

  /** What is under way, with the case that a suite had begun. */
  private get under(): string {
    const running = this.suite?.underWay;
    return running === undefined ? this.doing : `${this.doing}, case "${running}"`;
  }
}

const isTimedOut = ({ outcome }: CaseResult): boolean => outcome === "timedOut";
