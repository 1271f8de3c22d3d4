/**
 * What a run ends with: outcomes of cases and suites, and the one verdict over all of them.
 * docs/verdicts.md describes the kinds for users; the JSON report has these shapes.
 */
import type { KernelPackage } from "../image/kernelPackage.ts";
import { ExitCode } from "../config/errors.ts";
import type { CrashReport } from "../console/crashReport.ts";
import type { Phase } from "../report/phases.ts";
import type { KernelAnswer } from "./askKernel.ts";
import type { Measure } from "./attributes.ts";
import type { Selection } from "./selection.ts";

export type CaseOutcome = "passed" | "failed" | "skipped" | "timedOut";

/** One case: one result line of a suite's KTAP, or a line that should have come and didn't. */
export interface CaseResult {
  readonly suite: string;
  /** The description on the result line; names of nested subtests are joined by " / ". */
  readonly name: string;
  readonly outcome: CaseOutcome;
  /** Time between the previous result line (or the suite's start) and this one. */
  readonly milliseconds: number;
  /** The case's own diagnostic lines and what vexlab has to say about it. */
  readonly diagnostics: readonly string[];
  /** The directive as written, such as `SKIP no device`. */
  readonly directive?: string;
  readonly tags?: readonly string[];
  /** Numbers that the case has measured. */
  readonly measures?: readonly Measure[];
}

/** How the suite's program ended; `stopped` by a run that ends at the first failure. */
export type SuiteEnding =
  | "exited"
  | "stopped"
  | "caseTimeout"
  | "suiteTimeout"
  | "crashed"
  | "connectionLost"
  | "cancelled"
  | "notRun";

export interface SuiteResult {
  readonly name: string;
  readonly cases: readonly CaseResult[];
  readonly ending: SuiteEnding;
  /** The exit status of the suite's program; null when it was killed or never reported. */
  readonly exitCode: number | null;
  readonly milliseconds: number;
  /** Faults of the suite itself (plan, numbering, exit status): each one makes the run fail. */
  readonly problems: readonly string[];
  /** The last lines of output that were not KTAP, such as a shell's complaint. */
  readonly tail: readonly string[];
  /** How many of its cases were not wanted: neither passed nor failed nor skipped. */
  readonly notSelected?: number;
  /** The case that was under way when the suite ended before its time, if the suite had said so. */
  readonly underWay?: string;
}

/** A hang, and what the kernel said that it was doing. */
export interface Hang extends KernelAnswer {
  /** Words for a sentence: "suite NAME", "loading the module …". */
  readonly during: string;
  /** The suite that ran; absent when none did. */
  readonly suite?: string;
  /** The case that ran, as far as the suite says. */
  readonly case?: string;
}

/** A crash of the guest's kernel, and what was under way. */
export interface Crash extends CrashReport {
  /** Words for a sentence: "suite NAME", "loading the module …". */
  readonly during: string;
  /** The suite that ran; absent when none did. */
  readonly suite?: string;
  /** The case that ran, as far as the suite's words and the clocks tell. */
  readonly case?: string;
}

/** A guest that was lost, or not to be had, through no fault of the module's, and was replaced. */
export interface Retry {
  readonly reason: string;
  /** What ran once more, from its beginning, or for the first time. */
  readonly suites: readonly string[];
}

/** A guest's memory as it was after a crash or a hang. */
export interface MemoryDump {
  readonly file: string;
  /** On the disk. */
  readonly bytes: number;
  /** The command that opens it. */
  readonly open: string;
}

export type VerdictKind =
  | "passed"
  | "failed"
  | "build-failed"
  | "load-failed"
  | "crashed"
  | "hung"
  | "infrastructure-failed"
  | "cancelled";

export interface Verdict {
  readonly kind: VerdictKind;
  /** One sentence that names the suite and the case. */
  readonly reason: string;
}

/** One of several runs of the same. */
export interface Repetition {
  /** From 1. */
  readonly number: number;
  readonly most: number;
}

/** What became of one of several runs. */
export interface RepetitionResult {
  readonly number: number;
  readonly verdict: VerdictKind;
  readonly seconds: number;
  readonly seed?: number;
  /** Absent when its results were not kept: it passed, as others did. */
  readonly runId?: string;
}

/** Everything that is known about a run; result.json is this object. */
export interface RunReport {
  readonly runId: string;
  readonly stack: string;
  readonly kernelRelease: string;
  /** Where the image's kernel is from; absent where it is no package of a distribution. */
  readonly kernelPackage?: KernelPackage;
  readonly imageId: string;
  readonly sourceHash: string;
  readonly artefactHash: string;
  readonly verdict: VerdictKind;
  readonly exitCode: ExitCode;
  readonly reason: string;
  readonly suites: readonly SuiteResult[];
  /** What loading and unloading the module had to say when it went wrong. */
  readonly moduleProblems: readonly string[];
  /** The first of each title. */
  readonly crashes: readonly Crash[];
  /** What the kernel did during hangs; absent when there was none. */
  readonly hangs?: readonly Hang[];
  /** Absent when none was asked for, or none could be made. */
  readonly dumps?: readonly MemoryDump[];
  /** Failures of the infrastructure that another guest made good; absent when there was none. */
  readonly retried?: readonly Retry[];
  /** What was asked for; absent for all. */
  readonly selection?: Selection;
  /** Decided the order of suites and cases; absent for the manifest's order. */
  readonly seed?: number;
  readonly repetition?: Repetition;
  /** All of the runs that this one is of. */
  readonly repetitions?: readonly RepetitionResult[];
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly seconds: number;
  /** How long the parts of the run took; parts that ran side by side overlap. */
  readonly phases?: readonly Phase[];
  /** Absolute paths of what the run left on the host. */
  readonly files: { readonly log: string; readonly junit: string; readonly json: string };
}

const exitCodes: Record<VerdictKind, ExitCode> = {
  passed: ExitCode.passed,
  failed: ExitCode.failed,
  "build-failed": ExitCode.buildFailed,
  "load-failed": ExitCode.loadFailed,
  crashed: ExitCode.crashed,
  hung: ExitCode.hung,
  "infrastructure-failed": ExitCode.infrastructureFailed,
  cancelled: ExitCode.cancelled,
};

/** The exit code that `vexlab` ends with for a verdict. */
export function exitCodeOf(kind: VerdictKind): ExitCode {
  return exitCodes[kind];
}
