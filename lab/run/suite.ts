/**
 * One suite in the guest: its program's output through the KTAP parser, with a deadline for each
 * case (time since the last result line) and one for the whole suite.
 */
import { GuestError } from "../guest/session.ts";
import { formatDuration, type Progress } from "../report/progress.ts";
import { attributesOf } from "./attributes.ts";
import { casesOf, isFailure, nameOf, outcomeOf, problemsOf } from "./cases.ts";
import type { Guest, RunLog } from "./guest.ts";
import { KtapParser, type KtapDocument, type KtapEvent, type KtapResult } from "./ktap.ts";
import { LineSplitter } from "./lineSplitter.ts";
import type { PlannedSuite, RunPlan } from "./plan.ts";
import { selectsCase, selectsCases } from "./selection.ts";
import type { CaseResult, SuiteEnding, SuiteResult } from "./verdict.ts";

/** The suite's result, and the failure of the connection that ended it, if one did. */
export interface SuiteRun {
  readonly result: SuiteResult;
  readonly lost?: GuestError;
}

export interface SuiteSurroundings {
  readonly guest: Guest;
  readonly plan: RunPlan;
  readonly progress: Progress;
  readonly log: RunLog;
  /** Cancels the run. */
  readonly signal?: AbortSignal;
  /** Aborted when the console shows that the kernel has died; the guest's commands then fail. */
  readonly died?: AbortSignal;
  /** A deadline has passed: looks at what hangs, before it is killed. Bounded; does not fail. */
  readonly look?: () => Promise<void>;
}

/** How long after its deadline a suite may take to be killed before we give the guest up. */
const killGraceMs = 20_000;
const tailLines = 20;

/** Runs one suite to its end; never throws for what the suite or the guest does. */
export async function runSuite(around: SuiteSurroundings, suite: PlannedSuite): Promise<SuiteRun> {
  const { guest, plan, log } = around;
  const began = performance.now();
  const output = new SuiteOutput(suite.name, around.progress, log);
  const stop = new AbortController();
  let why: SuiteEnding | undefined;
  const end = (ending: SuiteEnding): void => {
    why ??= ending;
    stop.abort();
  };

  let looking: Promise<void> | undefined;
  const tooLate = (ending: SuiteEnding): void => {
    if (why !== undefined) return;
    why = ending;
    output.close();
    looking = around.look?.();
    void (looking ?? Promise.resolve()).finally(() => stop.abort());
  };

  let caseTimer = setTimeout(() => tooLate("caseTimeout"), suite.caseTimeoutMs);
  const suiteTimer = setTimeout(() => tooLate("suiteTimeout"), suite.timeoutMs);
  output.onResult = () => {
    clearTimeout(caseTimer);
    if (why === undefined)
      caseTimer = setTimeout(() => tooLate("caseTimeout"), suite.caseTimeoutMs);
  };
  if (plan.stopAtFirst)
    output.onFailure = (failed) => {
      if (selectsCase(plan.selection, failed)) end("stopped");
    };
  const cancel = (): void => end("cancelled");
  const died = (): void => end("crashed");
  around.signal?.addEventListener("abort", cancel, { once: true });
  around.died?.addEventListener("abort", died, { once: true });
  if (around.signal?.aborted) cancel();
  if (around.died?.aborted) died();

  let exitCode: number | null = null;
  let lost: GuestError | undefined;
  const endProblems: string[] = [];
  try {
    const result = await guest.run(commandLine(plan, suite), {
      deadlineMs: suite.timeoutMs + killGraceMs,
      onStdout: (chunk) => output.stdout(chunk),
      onStderr: (chunk) => output.stderr(chunk),
      signal: stop.signal,
    });
    if (why === undefined) exitCode = result.exitCode;
    if (why === undefined && result.signal !== null)
      endProblems.push(`the suite's program died of ${result.signal}`);
  } catch (error) {
    if (!(error instanceof GuestError)) throw error;
    // Our own abort comes back as "cancelled"; anything else is the connection's failure.
    if (why === undefined) {
      why = "connectionLost";
      lost = error;
      endProblems.push(error.message);
    }
  } finally {
    clearTimeout(caseTimer);
    clearTimeout(suiteTimer);
    around.signal?.removeEventListener("abort", cancel);
    around.died?.removeEventListener("abort", died);
  }

  await looking;

  const document = output.end();
  const ending = why ?? "exited";
  const reported = output.cases(document);
  const selected = reported.filter((each) => selectsCase(plan.selection, each));
  const running = runningCase(document, suite, ending);
  const cases = running
    ? [...selected, { ...running, milliseconds: output.sinceLastResult() }]
    : selected;
  const failures = reported.some((each) => isFailure(each.outcome));
  if (exitCode !== null && exitCode !== 0 && !failures)
    endProblems.push(`the suite's program exited with ${exitCode} although no case failed`);
  const result: SuiteResult = {
    name: suite.name,
    cases,
    ending,
    exitCode,
    milliseconds: Math.round(performance.now() - began),
    // What was stopped in its middle is not complete.
    problems: [...(ending === "stopped" ? [] : problemsOf(document)), ...endProblems],
    tail: output.tail,
    ...(selectsCases(plan.selection) && {
      notSelected: reported.length - selected.length + leftOut(document),
    }),
    ...(ending !== "exited" && ending !== "stopped" && underWay(document)),
  };
  for (const problem of result.problems) log.write(`${suite.name}: ${problem}`);
  return { result, ...(lost && { lost }) };
}

/** A suite that was never started. */
export function notRun(suite: PlannedSuite): SuiteResult {
  return {
    name: suite.name,
    cases: [],
    ending: "notRun",
    exitCode: null,
    milliseconds: 0,
    problems: [],
    tail: [],
  };
}

/**
 * The case of an ended suite that ran when something happened: the one that the suite had begun, or
 * else the one whose time it was.
 * @param time when it happened, by a clock that showed `end` just after the suite's end
 */
export function caseAt(suite: SuiteResult, time?: number, end?: number): string | undefined {
  if (suite.underWay !== undefined) return suite.underWay;
  if (time === undefined || end === undefined) return undefined;
  let left = suite.milliseconds - (end - time) * 1000;
  if (left < 0) return undefined;
  return suite.cases.find(({ milliseconds }) => (left -= milliseconds) <= 0)?.name;
}

/** How many cases the suite says that it has left out. */
function leftOut({ top }: KtapDocument): number {
  const lines = [...top.results.flatMap(({ diagnostics }) => diagnostics), ...top.trailing];
  const { selected } = attributesOf(lines);
  return selected === undefined ? 0 : Math.max(0, selected.of - selected.count);
}

function underWay({ top }: KtapDocument): { readonly underWay: string } | undefined {
  const { announced } = attributesOf(top.trailing);
  return announced === undefined ? undefined : { underWay: announced };
}

/** As root, in the copied tree; `env` sets the variables because sudo drops those of the caller. */
function commandLine(plan: RunPlan, suite: PlannedSuite): string[] {
  const seconds = Math.max(1, Math.floor(suite.caseTimeoutMs / 1000));
  const environment = { ...plan.environment, VEXLAB_CASE_TIMEOUT: seconds };
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return ["sudo", "-n", "env", `--chdir=${plan.remoteFolder}`, ...variables, ...suite.command];
}

/** The case that was under way when the suite was stopped, as far as the output tells. */
function runningCase(
  document: KtapDocument,
  suite: PlannedSuite,
  ending: SuiteEnding,
): Omit<CaseResult, "milliseconds"> | undefined {
  const limit =
    ending === "caseTimeout"
      ? `no result within ${formatDuration(suite.caseTimeoutMs)}`
      : `the suite did not end within ${formatDuration(suite.timeoutMs)}`;
  if (ending !== "caseTimeout" && ending !== "suiteTimeout") return undefined;
  const { top } = document;
  const last = top.results.at(-1);
  const after = last ? ` after "${nameOf(last, top.results.length)}"` : " of the suite's start";
  const { announced, rest } = attributesOf(top.trailing);
  const complete = top.plan !== undefined && top.results.length >= top.plan;
  return {
    suite: suite.name,
    name: complete ? "(end of the suite)" : (announced ?? `case ${top.results.length + 1}`),
    outcome: "timedOut",
    diagnostics: [...rest, limit + (ending === "caseTimeout" ? after : "")],
  };
}

/** Takes both streams: parses, logs, shows, and stamps each result line with the time it took. */
class SuiteOutput {
  onResult: () => void = () => undefined;
  /** Called for a case that has failed with all of its subtests. */
  onFailure: (failed: Pick<CaseResult, "name" | "tags">) => void = () => undefined;
  readonly tail: string[] = [];
  private readonly parser = new KtapParser();
  private readonly outLines = new LineSplitter();
  private readonly errorLines = new LineSplitter();
  private readonly took = new Map<KtapResult, number>();
  private lastAt = performance.now();
  private closed = false;

  constructor(
    private readonly suite: string,
    private readonly progress: Progress,
    private readonly log: RunLog,
  ) {}

  stdout(chunk: string): void {
    for (const line of this.outLines.push(chunk)) this.log.write(line);
    if (!this.closed) this.take(this.parser.push(chunk));
  }

  /** What comes after a deadline goes to the log only. */
  close(): void {
    this.closed = true;
  }

  stderr(chunk: string): void {
    this.takeErrors(this.errorLines.push(chunk));
  }

  end(): KtapDocument {
    for (const line of this.outLines.end()) this.log.write(line);
    this.takeErrors(this.errorLines.end());
    const { document, events } = this.parser.end();
    this.take(events);
    return document;
  }

  cases(document: KtapDocument): CaseResult[] {
    return casesOf(document).map(({ result, ...each }) => ({
      suite: this.suite,
      ...each,
      milliseconds: (result && this.took.get(result)) ?? 0,
    }));
  }

  sinceLastResult(): number {
    return Math.round(performance.now() - this.lastAt);
  }

  private takeErrors(lines: readonly string[]): void {
    for (const line of lines) {
      this.log.write(`stderr: ${line}`);
      this.addToTail(line);
    }
  }

  private take(events: readonly KtapEvent[]): void {
    for (const event of events) {
      if (event.kind === "log") this.addToTail(event.text);
      else if (event.kind === "bailOut") this.progress.line(`Bail out! ${event.reason}`);
      else if (event.kind === "result") this.takeResult(event.result, event.depth);
    }
  }

  private takeResult(result: KtapResult, depth: number): void {
    const milliseconds = this.sinceLastResult();
    this.lastAt = performance.now();
    this.took.set(result, milliseconds);
    this.onResult();
    const outcome = outcomeOf(result);
    const name = nameOf(result, result.number ?? 0);
    const why = result.directive?.reason ? `: ${result.directive.reason}` : "";
    const pad = "  ".repeat(depth);
    this.progress.line(`${pad}${outcome} ${name}${why} (${formatDuration(milliseconds)})`);
    if (!isFailure(outcome)) return;
    const { rest, tags } = attributesOf(result.diagnostics);
    for (const line of rest) this.progress.line(`${pad}  ${line}`);
    if (depth === 0) this.onFailure({ name, tags });
  }

  private addToTail(line: string): void {
    this.tail.push(line);
    if (this.tail.length > tailLines) this.tail.shift();
  }
}
