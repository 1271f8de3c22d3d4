/** One cell from an empty stack to its verdict, and back to nothing. */
import { createWriteStream } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { finished } from "node:stream/promises";
import { exitCodeOf, type RunReport, type VerdictKind } from "../lab/run/verdict.ts";
import { ExitCode } from "../lab/config/errors.ts";
import type { LastVerdict } from "../lab/run/lastVerdict.ts";
import type { Places } from "../lab/config/places.ts";
import type { KernelPackage } from "../lab/image/kernelPackage.ts";
import { formatDuration, named, printable, type Progress } from "../lab/report/progress.ts";
import type { Engine } from "../toolchain/engine.ts";
import type { Outcome } from "../toolchain/outcome.ts";
import { isFinished, summarise, type CellOutcome } from "./cellResult.ts";
import { buildCell } from "./cellBuild.ts";
import { CellStack, type CellContext } from "./cellStack.ts";
import type { Cell } from "./cells.ts";
import type { Ports } from "./ports.ts";
import type { GuestPriorities } from "./priorities.ts";
import type { ProcessWatch } from "./processTimes.ts";

export interface CellsContext {
  readonly where: Places;
  readonly engine: Engine;
  readonly progress: Progress;
  readonly watch: ProcessWatch;
  readonly ports: Ports;
  readonly priorities: GuestPriorities;
  /** For the cells' logs. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

/** What is known of a cell before it runs. */
export interface KnownInputs {
  readonly sourceHash: string;
  readonly imageId: string;
  /** Undefined for a downloaded image, of which only its guest can tell. */
  readonly kernelRelease?: string;
  readonly kernelPackage?: KernelPackage;
  readonly inputs: string;
}

/** The groups under which a cell's processor time is counted. */
export const engineGroup = (stack: string): string => stack;
export const guestsGroup = (stack: string): string => `${stack}/guests`;

/** How one attempt ended. */
export interface Attempt {
  readonly verdict: VerdictKind;
  readonly exitCode: ExitCode;
  readonly reason: string;
  readonly report?: RunReport;
  readonly left?: string;
}

/**
 * Runs a cell; when its infrastructure fails, once more. Never throws: what goes wrong is its result.
 * @param made called when its guest is saved, so that others of its kind need not boot
 * @param attemptIt another way to run it, for tests
 */
export async function runCell(
  cell: Cell,
  known: KnownInputs,
  context: CellsContext,
  made: () => void,
  attemptIt: typeof attemptIn = attemptIn,
): Promise<CellOutcome> {
  const { watch, signal } = context;
  const began = performance.now();
  const startedAt = new Date().toISOString();
  const progress = named(context.progress, cell.label);
  const log = join(context.folder, `${cell.stack}.log`);
  progress.line("started");
  let attempt = await attemptIt(cell, known, log, { ...context, progress }, made);
  let retried: string | undefined;
  if (attempt.verdict === "infrastructure-failed" && !signal.aborted) {
    retried = attempt.reason;
    progress.line(`infrastructure failed, once more: ${retried}`);
    attempt = await attemptIt(cell, known, log, { ...context, progress }, made);
  }
  await watch.look();
  const { report, left, verdict, exitCode, reason } = attempt;
  const kernelRelease = report?.kernelRelease ?? known.kernelRelease;
  const seconds = (performance.now() - began) / 1000;
  progress.line(`${verdict} (${formatDuration(seconds * 1000)}): ${reason}`);
  if (left !== undefined) progress.line(`its stack ${cell.stack} could not be removed: ${left}`);
  const round = (value: number): number => Math.round(value * 100) / 100;
  return {
    ...(report && { report }),
    result: {
      ...{ cell: cell.label, stack: cell.stack, image: cell.image, kernel: cell.kernel },
      ...{ configuration: cell.configuration, verdict, exitCode, reason },
      ...(kernelRelease !== undefined && { kernelRelease }),
      ...(known.kernelPackage && { kernelPackage: known.kernelPackage }),
      ...{ imageId: known.imageId, sourceHash: report?.sourceHash ?? known.sourceHash },
      inputs: known.inputs,
      suites: report?.suites.map((suite) => summarise(suite, report)) ?? [],
      ...{ startedAt, seconds: round(seconds) },
      cpuSeconds: {
        engine: round(watch.secondsOf(engineGroup(cell.stack))),
        guests: round(watch.secondsOf(guestsGroup(cell.stack))),
      },
      ...(retried !== undefined && { retried }),
      ...(left !== undefined && { left }),
      ...{ kept: false, log },
      ...(report && { result: report.files.json }),
    },
  };
}

async function attemptIn(
  cell: Cell,
  known: KnownInputs,
  log: string,
  context: CellsContext,
  made: () => void,
): Promise<Attempt> {
  const { signal, where, watch } = context;
  await mkdir(dirname(log), { recursive: true });
  const file = createWriteStream(log, { flags: "a", mode: 0o600 });
  // A full disk must not end the matrix; the verdict's own files tell it.
  file.on("error", () => undefined);
  const follow = new Milestones(context.progress);
  const output = (text: string): void => {
    file.write(text);
    follow.take(text);
  };
  let attempt: Attempt;
  try {
    const started = (pid: number): void => watch.add(pid, engineGroup(cell.stack));
    const told = { where, engine: context.engine, progress: context.progress, output, started };
    const unbuilt =
      cell.config.buildOn === "host"
        ? await buildCell(cell, known.imageId, told, signal)
        : undefined;
    attempt =
      unbuilt === undefined
        ? await context.priorities.during(cell.stack, () =>
            onStack(cell, { ...context, told }, made),
          )
        : asked(signal, withVerdict(unbuilt));
  } catch (error) {
    attempt = asked(signal, failed(error));
  }
  file.end();
  await finished(file).catch(() => undefined);
  return attempt;
}

/** Makes the cell's stack, which tests the module, and removes it. */
async function onStack(
  cell: Cell,
  { told, ports, signal, where }: CellsContext & { readonly told: CellContext },
  made: () => void,
): Promise<Attempt> {
  let port: number | undefined;
  let stack: CellStack | undefined;
  let attempt: Attempt;
  try {
    port = await ports.take();
    const entries = Object.entries({ ...cell.raw, sshPort: String(port) });
    const config = Object.fromEntries(entries.map(([key, value]) => [`vexlab:${key}`, value]));
    stack = await CellStack.open(cell.stack, config, told);
    attempt = await judged(await stack.up(signal, made), where);
  } catch (error) {
    attempt = failed(error);
  }
  attempt = asked(signal, attempt);
  try {
    if (stack !== undefined) {
      await stack.destroy();
      await stack.forget();
    }
  } catch (error) {
    attempt = { ...attempt, left: firstLine((error as Error).message) };
  } finally {
    await stack?.close();
    if (port !== undefined) ports.giveBack(port);
  }
  return attempt;
}

/** The verdict of an `up`; one without a verdict did not get as far. */
async function judged(
  { verdict, exitCode, reason = "" }: Outcome,
  where: Places,
): Promise<Attempt> {
  if (verdict === undefined) {
    const kind = exitCode === ExitCode.cancelled ? "cancelled" : "infrastructure-failed";
    const why = exitCode === ExitCode.passed ? "nothing was tested" : firstLine(reason);
    return { verdict: kind, exitCode: exitCodeOf(kind), reason: why };
  }
  const report = await reportOf(join(where.results, verdict.runId, "result.json"));
  return { ...withVerdict(verdict), ...(report && { report }) };
}

function withVerdict(last: LastVerdict): Attempt {
  const { verdict } = last;
  return { verdict, exitCode: exitCodeOf(verdict), reason: reasonOf(last) };
}

/** What an attempt came to when it was or wasn't cancelled: what failed then, failed for that. */
function asked(signal: AbortSignal, attempt: Attempt): Attempt {
  return signal.aborted && !isFinished(attempt.verdict) ? cancelled(attempt) : attempt;
}

/** One line; of a build that failed the compiler's, which comes after the name of the step. */
function reasonOf({ verdict, reason }: LastVerdict): string {
  const [step = "", complaint = ""] = reason.trim().split("\n");
  return printable((verdict === "build-failed" && complaint.trim()) || step);
}

async function reportOf(file: string): Promise<RunReport | undefined> {
  const text = await readFile(file, "utf8").catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as RunReport);
}

function failed(error: unknown): Attempt {
  const verdict = "infrastructure-failed";
  const reason = firstLine(error instanceof Error ? error.message : String(error));
  return { verdict, exitCode: exitCodeOf(verdict), reason };
}

function cancelled(attempt: Attempt): Attempt {
  const { report } = attempt;
  const exitCode = exitCodeOf("cancelled");
  return { verdict: "cancelled", exitCode, reason: "cancelled", ...(report && { report }) };
}

const firstLine = (text: string): string => printable(text.trim().split("\n")[0] ?? "");

/** Picks what a person wants to see of a cell among others: its suites as they end. */
export class Milestones {
  private rest = "";
  private readonly told = new Set<string>();

  constructor(private readonly progress: Progress) {}

  take(text: string): void {
    const lines = (this.rest + text).split("\n");
    this.rest = (lines.pop() ?? "").slice(-10_000);
    for (const line of lines) {
      const said = /\]\s+((?:suite |image |module |build |boot )\S.*?: (?:done|failed).*)$/.exec(
        printable(line),
      )?.[1];
      if (said === undefined || this.told.has(said)) continue;
      this.told.add(said);
      this.progress.line(said);
    }
  }
}
