/**
 * From console text to crash reports. Pure; its memory does not grow with the text.
 *
 * Reports of several tasks and processors come interleaved; where the kernel says who prints
 * (CONFIG_PRINTK_CALLER), each has its own lines. Where it doesn't, a report takes what comes until it
 * ends or the next begins, and only what has the form of a frame counts as one.
 */
import { ConsoleLines } from "./consoleLines.ts";
import { crashSign, isConsequence, isSequel, panicReason, type CrashSign } from "./crashSigns.ts";
import { distinct, type CrashReport } from "./crashReport.ts";
import { KernelMessages, type KernelMessage } from "./kernelMessage.ts";
import { frameAtFault, moduleAtFault, namedFrame, stackFrame } from "./stackFrames.ts";
import type { StackFrame } from "./stackFrames.ts";

/** A report with the traces of all tasks is longer; what comes first matters. */
const mostLines = 250;
const mostFrames = 100;
const mostOpen = 16;
/** Lines between "cut here" and what happened. */
const mostPreamble = 4;
/** Seconds of silence after a trace that end a report without an end mark. */
const silence = 2;
/** Seconds in which a fault ends in a panic, if it does. */
const untilPanic = 10;

const cutHere = /^-+\[ cut here \]-+$/;
const endOfReport = /^---\[ end (?:trace|Kernel panic)/;
const traceBegins = /^(?:Call Trace:|Backtrace:| <(?:TASK|IRQ|NMI|#DF|ENTRY_TRAMPOLINE)>)/;
/** What belongs to a report besides frames. */
const partOfReport =
  /^(?:CPU: |Hardware name: |RIP: |RSP: |Code: |Call Trace:| <\/?[A-Z#]|[RECDGF][A-Z0-9]{1,2}: |Modules linked in: |---\[|=+$|-+$|\? ?0x|task:|Tainted: |Workqueue: |irq event stamp|hardirqs |softirqs )/;
const kernelBegins = /^Linux version \d/;

interface OpenReport {
  sign: CrashSign | undefined;
  readonly time: number | undefined;
  lastTime: number | undefined;
  readonly lines: string[];
  readonly frames: StackFrame[];
  panic: string | undefined;
  tracing: boolean;
  /** How many frames come before the trace: those of an object's allocation, say. */
  framesBefore: number;
  /** How many lines end with the last one that surely belongs to it. */
  length: number;
}

export class CrashParser {
  private readonly lines = new ConsoleLines();
  private readonly messages = new KernelMessages();
  /** By who prints. */
  private readonly open = new Map<string, OpenReport>();
  /** Ended, but a panic may follow from it. */
  private last: OpenReport | undefined;
  private done: CrashReport[] = [];
  private ended = false;
  private lastTime: number | undefined;

  /** Whether a panic or restart was among it, after which the guest answers no more. */
  get sawEnd(): boolean {
    return this.ended;
  }

  /** Takes text, cut anywhere; gives the reports that are complete. */
  push(chunk: string): CrashReport[] {
    for (const line of this.lines.push(chunk)) this.takeLine(line);
    return this.taken();
  }

  /** The reports that the end of the text completes. */
  end(): CrashReport[] {
    if (this.lines.partial !== "") this.takeLine(this.lines.partial);
    this.closeAll();
    this.emitLast();
    return this.taken();
  }

  private taken(): CrashReport[] {
    const { done } = this;
    this.done = [];
    return done;
  }

  private takeLine(line: string): void {
    for (const message of this.messages.read(line)) this.take(message);
  }

  private take(message: KernelMessage): void {
    const { text, time, caller = "" } = message;
    if (kernelBegins.test(text) && this.lastTime !== undefined && (time ?? 0) < this.lastTime)
      this.restarted(time);
    this.lastTime = time ?? this.lastTime;
    let report = this.open.get(caller);
    if (report !== undefined && hasEnded(report, time)) {
      this.close(caller);
      report = undefined;
    }
    const reason = panicReason(text);
    if (reason !== undefined) {
      this.panic(caller, message, reason);
      return;
    }
    const sign = crashSign(text);
    if (sign?.role === "single") {
      this.close(caller);
      this.begin(caller, message, sign);
      this.close(caller);
    } else if (sign?.role === "refines") {
      if (report?.sign === undefined) return;
      if (report.sign.kind === sign.kind) report.sign = { ...report.sign, cause: sign.cause };
      add(report, message);
    } else if (cutHere.test(text) && !(report && beginsBefore(report))) {
      this.close(caller);
      this.begin(caller, message, undefined);
    } else if (sign !== undefined && !(report && continues(report, sign))) {
      this.close(caller);
      this.begin(caller, message, sign);
    } else if (report !== undefined) {
      report.sign ??= sign;
      add(report, message);
      if (endOfReport.test(text)) this.close(caller);
    }
  }

  private begin(caller: string, message: KernelMessage, sign: CrashSign | undefined): OpenReport {
    this.ended ||= sign?.kind === "reboot";
    if (this.open.size >= mostOpen) this.close([...this.open.keys()][0] ?? "");
    const report: OpenReport = {
      ...{ sign, time: message.time, lastTime: message.time, lines: [], frames: [] },
      ...{ panic: undefined, tracing: false, framesBefore: 0, length: 0 },
    };
    this.open.set(caller, report);
    add(report, message);
    report.length = report.lines.length;
    return report;
  }

  /** A panic is how another fault ended, or a crash of its own. */
  private panic(caller: string, message: KernelMessage, reason: string): void {
    this.ended = true;
    const cause = this.open.get(caller) ?? [...this.open.values()].at(-1) ?? this.last;
    const near =
      cause?.lastTime === undefined ||
      message.time === undefined ||
      message.time - cause.lastTime <= untilPanic;
    if (cause?.sign !== undefined && near && isConsequence(reason)) {
      if (cause.panic !== undefined) return;
      cause.panic = reason;
      add(cause, message);
      cause.length = cause.lines.length;
      return;
    }
    this.close(caller);
    const isStack = /^(?:corrupted stack end|stack-protector)/.test(reason);
    const sign = isStack
      ? ({ kind: "stack-overflow", cause: "stack overflow", role: "opens" } as const)
      : ({ kind: "panic", cause: `panic: ${reason}`, role: "opens" } as const);
    const report = this.begin(caller, message, sign);
    if (isStack) report.panic = reason;
  }

  private restarted(time: number | undefined): void {
    this.closeAll();
    const sign = { kind: "reboot", cause: "the guest restarted", role: "single" } as const;
    this.begin("", { time, caller: undefined, text: "" }, sign);
    this.close("");
  }

  private closeAll(): void {
    for (const caller of [...this.open.keys()]) this.close(caller);
  }

  private close(caller: string): void {
    const report = this.open.get(caller);
    this.open.delete(caller);
    if (report?.sign === undefined) return;
    this.emitLast();
    this.last = report;
  }

  private emitLast(): void {
    const { last } = this;
    this.last = undefined;
    if (last?.sign === undefined || isOfGroup(last)) return;
    this.done.push(reportOf(last, last.sign));
  }
}

/** The crash reports in a kernel log or console text, the first of each title. */
export function crashReports(text: string): CrashReport[] {
  const parser = new CrashParser();
  return distinct([...parser.push(text), ...parser.end()]);
}

/** Whether a console text shows a panic or restart, after which the guest answers no more. */
export function showsEnd(text: string): boolean {
  const parser = new CrashParser();
  parser.push(text);
  parser.end();
  return parser.sawEnd;
}

/** Whether the next message belongs to another matter. */
function hasEnded(report: OpenReport, time: number | undefined): boolean {
  if (report.lines.length >= mostLines) return true;
  if (report.sign === undefined) return report.lines.length > mostPreamble;
  const { lastTime, tracing } = report;
  return tracing && time !== undefined && lastTime !== undefined && time - lastTime > silence;
}

/** Whether a report begins with what the kernel says before it cuts. */
function beginsBefore({ sign, tracing, lines }: OpenReport): boolean {
  if (sign?.kind === "slab-corruption") return !tracing;
  return sign?.kind === "list-corruption" && lines.length <= mostPreamble;
}

/** Whether a sign is part of what has begun: before the trace, a fault says several things of itself. */
function continues({ sign: first, tracing }: OpenReport, sign: CrashSign): boolean {
  return !tracing && (first === undefined || isSequel(first, sign));
}

function add(report: OpenReport, { text, time }: KernelMessage): void {
  if (text !== "") report.lines.push(text);
  report.lastTime = time ?? report.lastTime;
  const frame = stackFrame(text);
  const begins = traceBegins.test(text);
  if (begins && !report.tracing) report.framesBefore = report.frames.length;
  if (frame !== undefined && report.frames.length < mostFrames) report.frames.push(frame);
  report.tracing ||= begins;
  if (frame !== undefined || !report.tracing || partOfReport.test(text))
    report.length = report.lines.length;
}

/** A control group that may have no more memory is the doing of who made the group. */
function isOfGroup({ sign, lines }: OpenReport): boolean {
  return (
    sign?.kind === "out-of-memory" &&
    lines.some((line) => /^Memory cgroup out of memory|constraint=CONSTRAINT_MEMCG/.test(line))
  );
}

function reportOf(report: OpenReport, sign: CrashSign): CrashReport {
  const { kind } = sign;
  const { panic, time } = report;
  // Only an out-of-memory report goes on in another form after its trace.
  const lines = kind === "out-of-memory" ? report.lines : report.lines.slice(0, report.length);
  const named = namedFrame(lines.find((line) => crashSign(line) !== undefined) ?? "");
  const isNamed = (frame: StackFrame): boolean =>
    frame.symbol === named?.symbol && frame.offset === named.offset;
  const ordered = traceFirst(report);
  const frames = named === undefined || ordered.some(isNamed) ? ordered : [named, ...ordered];
  const atFault = frameAtFault(frames);
  const module = moduleAtFault(frames, atFault);
  return {
    kind,
    cause: sign.cause,
    title: titleOf(sign, atFault, lines),
    ...(atFault !== undefined && { function: atFault.function }),
    ...(module !== undefined && { module }),
    ...(panic !== undefined && { panic }),
    ...(time !== undefined && { time }),
    lines,
    frames,
  };
}

/** The frames, those of the trace itself first. */
function traceFirst({ frames, framesBefore }: OpenReport): StackFrame[] {
  const isOfTrace = (frame: StackFrame, index: number): boolean =>
    frame.instruction || index >= framesBefore;
  return [
    ...frames.filter(isOfTrace),
    ...frames.filter((frame, index) => !isOfTrace(frame, index)),
  ];
}

function titleOf(
  { kind, cause }: CrashSign,
  atFault: StackFrame | undefined,
  lines: readonly string[],
): string {
  // The reason says it.
  if (kind === "panic") return cause;
  if (atFault !== undefined) {
    const module = atFault.module === undefined ? "" : ` [${atFault.module}]`;
    return `${cause} in ${atFault.function}${module}`;
  }
  const place = lines.map((line) => / at (\S+):\d+/.exec(line)?.[1]).find(Boolean);
  return place === undefined ? cause : `${cause} at ${place}`;
}
