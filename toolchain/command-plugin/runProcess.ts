/**
 * Runs one process in a process group of its own: collects its output, hands on its lines while it
 * runs, and ends the whole group when it is cancelled.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { statSync } from "node:fs";

import { CommandFailure, endingText } from "./commandFailure.ts";
import type { LoggedStreams } from "./inputs.ts";
import { LineSplitter } from "./lineSplitter.ts";
import { signalGroup, type ProcessGroups } from "./processGroups.ts";
import { findProgram } from "./program.ts";

/** Milliseconds between asking the group to end (SIGTERM) and ending it (SIGKILL). */
export const terminationGrace = 2000;

/** Takes lines; false from write means: no more until `drain`. A stream.Writable is one. */
export interface LineSink {
  write(line: string): boolean;
  once(event: "drain", listener: () => void): unknown;
}

export interface ProcessOrder {
  /** The interpreter's program and arguments. */
  readonly interpreter: readonly string[];
  /** The command: the interpreter's last argument. */
  readonly command: string;
  /** How errors name the command; the command itself unless that is secret. */
  readonly shownCommand?: string;
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Empty: /dev/null. */
  readonly stdin: string;
  readonly logged: LoggedStreams;
  readonly lines: LineSink;
  readonly groups: ProcessGroups;
  readonly signal: AbortSignal;
}

export interface ProcessOutput {
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Resolves when the process has ended well and its output streams are closed; one line feed is
 * taken off the end of each. Processes that it left in the background with a closed or redirected
 * output live on.
 *
 * @throws CommandFailure when it can't be started, fails, or is ended by the signal.
 */
export async function runProcess(order: ProcessOrder): Promise<ProcessOutput> {
  const failure = (what: string, output = "") =>
    new CommandFailure(what, order.shownCommand ?? order.command, output);
  if (order.signal.aborted) throw failure("context canceled");

  const name = order.interpreter[0] ?? "";
  const program = findProgram(name, process.env["PATH"] ?? "");
  if (program === undefined) throw failure(`exec: "${name}": executable file not found in $PATH`);

  order.groups.prepare();
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  const combined: Buffer[] = [];
  let ending;
  try {
    const child = spawn(program, [...order.interpreter.slice(1), order.command], {
      argv0: name,
      cwd: order.folder,
      env: { ...order.environment },
      detached: true,
      stdio: [order.stdin === "" ? "ignore" : "pipe", "pipe", "pipe"],
    });
    collect(child, order, { stdout, stderr, combined });
    feed(child, order.stdin);
    ending = await ended(child, order);
  } catch (error) {
    throw failure(startFailure(error as NodeJS.ErrnoException, program, order.folder));
  }
  const what = endingText(ending);
  if (what !== undefined) throw failure(what, Buffer.concat(combined).toString());
  return { stdout: outputText(stdout), stderr: outputText(stderr) };
}

function outputText(chunks: readonly Buffer[]): string {
  const text = Buffer.concat(chunks).toString();
  return text.endsWith("\n") ? text.slice(0, -1) : text;
}

interface Collected {
  readonly stdout: Buffer[];
  readonly stderr: Buffer[];
  readonly combined: Buffer[];
}

function collect(child: ChildProcess, order: ProcessOrder, collected: Collected): void {
  const streams = [child.stdout, child.stderr].filter((stream) => stream !== null);
  const onLine = (line: string) => {
    if (order.lines.write(line)) return;
    // The command waits while the engine is behind with its lines; it isn't read without bound.
    streams.forEach((stream) => stream.pause());
    order.lines.once("drain", () => streams.forEach((stream) => stream.resume()));
  };
  for (const name of ["stdout", "stderr"] as const) {
    const splitter = order.logged[name] ? new LineSplitter(onLine) : undefined;
    child[name]
      ?.on("data", (chunk: Buffer) => {
        collected[name].push(chunk);
        collected.combined.push(chunk);
        splitter?.write(chunk);
      })
      .on("end", () => splitter?.end());
  }
}

function feed(child: ChildProcess, stdin: string): void {
  // A command need not read its input to its end, or at all.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(stdin);
}

interface ProcessEnding {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
}

async function ended(child: ChildProcess, order: ProcessOrder): Promise<ProcessEnding> {
  const group = child.pid;
  const timers: NodeJS.Timeout[] = [];
  const terminate = () => {
    if (group === undefined) return;
    signalGroup(group, "SIGTERM");
    timers.push(
      setTimeout(() => signalGroup(group, "SIGKILL"), terminationGrace),
      // Processes that have left the group may hold the streams open for ever.
      setTimeout(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
      }, terminationGrace + 500),
    );
  };
  if (group !== undefined) order.groups.add(group);
  order.signal.addEventListener("abort", terminate, { once: true });
  try {
    return await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (exitCode, signal) => resolve({ exitCode, signal }));
    });
  } finally {
    order.signal.removeEventListener("abort", terminate);
    timers.forEach(clearTimeout);
    if (group !== undefined) order.groups.drop(group);
  }
}

const startErrors: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  ENOTDIR: "not a directory",
  ENOEXEC: "exec format error",
  E2BIG: "argument list too long",
  EAGAIN: "resource temporarily unavailable",
  ENOMEM: "cannot allocate memory",
  ERR_INVALID_ARG_VALUE: "invalid argument",
};

function startFailure(error: NodeJS.ErrnoException, program: string, folder: string): string {
  const reason = startErrors[error.code ?? ""] ?? error.message;
  // The kernel reports a missing folder and a missing program alike.
  if (!statSync(folder, { throwIfNoEntry: false })) return `chdir ${folder}: ${reason}`;
  return `fork/exec ${program}: ${reason}`;
}
