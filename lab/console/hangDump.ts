/**
 * What the kernel answers when it is asked by SysRq what it does: the tasks that wait and can't be
 * interrupted (w), what each processor executes (l), how much memory is left (m). Pure.
 * The forms: kernel/sched/core.c (sched_show_task), lib/nmi_backtrace.c, lib/show_mem.c, mm/page_alloc.c.
 */
import { consoleLines } from "./consoleLines.ts";
import { KernelMessages } from "./kernelMessage.ts";
import { frameAtFault, moduleAtFault, stackFrame, type StackFrame } from "./stackFrames.ts";

/** The keys, in an order in which the longest to wait for is the last. */
export const hangKeys = ["w", "m", "l"] as const;

export interface HangDump {
  /** One line: what is most likely to blame. */
  readonly title: string;
  /** A line for each task, processor and the memory, each followed by its trace. */
  readonly lines: readonly string[];
  readonly frames: readonly StackFrame[];
}

const answers = /^sysrq: (?:Show Blocked State|Show Memory|Show backtrace of all active CPUs)/;
const taskLine = /^task:(.{1,15}?) +state:(\S+) .*?\bpid:(\d+)/;
const cpuLine = /^NMI backtrace for cpu (\d+)(?: skipped: (idling))?/;
const cpuTask = /^CPU: \d+ (?:UID: \d+ )?PID: (\d+) Comm: (.{1,15}?) (?:Tainted|Not tainted|Kdump)/;
const freePages = /\bfree:(\d+) free_pcp:/;
const allPages = /^(\d+) pages RAM/;
const pagesPerMiB = 256;

const mostSubjects = 12;
const mostFrames = 12;

/** A task that waits, or a processor that executes. */
interface Subject {
  /** Words for a line of its own. */
  name: string;
  readonly verb: "waits" | "runs";
  readonly frames: StackFrame[];
}

/** Whether a text has an answer of the kernel in it. */
export function hasHangDump(text: string): boolean {
  return messagesOf(text).some((message) => answers.test(message));
}

/** The kernel's answer in a console text; undefined when there is none. */
export function hangDump(text: string): HangDump | undefined {
  const messages = messagesOf(text);
  const from = messages.findIndex((message) => answers.test(message));
  if (from === -1) return undefined;
  const subjects: Subject[] = [];
  let current: Subject | undefined;
  let idle = 0;
  let free: number | undefined;
  let all: number | undefined;
  const begin = (name: string, verb: Subject["verb"]): void => {
    current = { name, verb, frames: [] };
    subjects.push(current);
  };
  for (const message of messages.slice(from)) {
    const [, task, state, pid] = taskLine.exec(message) ?? [];
    const [, cpu, idling] = cpuLine.exec(message) ?? [];
    const [, running, comm] = cpuTask.exec(message) ?? [];
    const frame = stackFrame(message);
    if (task !== undefined) begin(`${task} (pid ${pid}, state ${state})`, "waits");
    else if (idling !== undefined) [current, idle] = [undefined, idle + 1];
    else if (cpu !== undefined) begin(`processor ${cpu}`, "runs");
    else if (comm !== undefined && current?.verb === "runs")
      current.name += `: ${comm} (pid ${running})`;
    else if (answers.test(message)) current = undefined;
    else if (frame?.reliable && current && current.frames.length < mostFrames)
      current.frames.push(frame);
    free = numberIn(freePages, message) ?? free;
    all = numberIn(allPages, message) ?? all;
  }
  // The processor that answers shows how it answers.
  const told = distinctSubjects(subjects.filter(({ frames }) => !isAnswering(frames)));
  const shown = told.slice(0, mostSubjects);
  const left = told.length - shown.length;
  const lines = [
    ...shown.flatMap((subject) => [sentence(subject), ...subject.frames.map(({ text: at }) => at)]),
    ...(left > 0 ? [`… ${left} more in the log`] : []),
    ...(idle > 0 ? [`${idle} idle ${idle === 1 ? "processor" : "processors"}`] : []),
    ...(free === undefined ? [] : [memoryLine(free, all)]),
  ];
  return { title: titleOf(told), lines, frames: shown.flatMap(({ frames }) => frames) };
}

function messagesOf(text: string): string[] {
  const messages = new KernelMessages();
  return consoleLines(text).flatMap((line) => messages.read(line).map((each) => each.text));
}

function numberIn(pattern: RegExp, message: string): number | undefined {
  const match = pattern.exec(message)?.[1];
  return match === undefined ? undefined : Number(match);
}

function isAnswering(frames: readonly StackFrame[]): boolean {
  return frames.some((frame) => /^(?:__handle_sysrq|sysrq_handle_\w+)$/.test(frame.function));
}

/** It may have been asked twice. */
function distinctSubjects(subjects: readonly Subject[]): Subject[] {
  const byName = new Map(subjects.map((subject) => [subject.name, subject]));
  return [...byName.values()];
}

function placeOf({ frames }: Subject): string {
  const atFault = frameAtFault(frames);
  if (atFault === undefined) return " outside of the kernel";
  const module = atFault.module === undefined ? "" : ` [${atFault.module}]`;
  return ` in ${atFault.function}${module}`;
}

function sentence(subject: Subject): string {
  return subject.verb === "waits"
    ? `${subject.name} waits${placeOf(subject)}`
    : `${subject.name}${placeOf(subject)}`;
}

/** A module outside of the kernel is likelier to blame than the kernel. */
function titleOf(subjects: readonly Subject[]): string {
  const waiting = subjects.filter(({ verb }) => verb === "waits");
  const ofModule = ({ frames }: Subject): boolean =>
    moduleAtFault(frames, frameAtFault(frames)) !== undefined;
  const first = waiting.find(ofModule) ?? subjects.find(ofModule) ?? waiting[0];
  return first === undefined ? "no task waits in the kernel" : sentence(first);
}

function memoryLine(free: number, all: number | undefined): string {
  const mebibytes = (pages: number): string => `${Math.round(pages / pagesPerMiB)} MiB`;
  const total = all === undefined ? "" : ` of ${mebibytes(all)}`;
  return `memory: ${mebibytes(free)}${total} free`;
}
