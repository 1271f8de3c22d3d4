/**
 * What a running command has in common whatever carries it, SSH or the control channel: its
 * deadline, its silence, the signal that aborts it, the output that is kept, and its one result.
 */
import { StringDecoder } from "node:string_decoder";
import { GuestError } from "./guestError.ts";
import type { CommandOptions, CommandResult } from "./session.ts";

const defaultKeep = 16 * 1024 * 1024;

/** How long the guest has for killing a command before we turn away from it, in milliseconds. */
export const killDeadlineMs = 10_000;

export interface CommandCarrier {
  /** Kills what the command started; whether the guest confirmed it. Called once at most. */
  kill(): Promise<boolean>;
  /** The command is settled: let go of everything that was held for it. */
  settled(): void;
  /** What of standard error is the command's own; default: all of it. */
  filterStderr?(text: string, ended: boolean): string;
}

/** How a command is named in messages. */
export function commandName(argv: readonly string[]): string {
  return argv.join(" ").slice(0, 120);
}

/** Watches one command from its start to its result. */
export class CommandWatch {
  /** Rejected with a GuestError. */
  readonly result: Promise<CommandResult>;

  private readonly began = performance.now();
  private readonly stdout: Kept;
  private readonly stderr: Kept;
  private readonly out = new StringDecoder("utf8");
  private readonly err = new StringDecoder("utf8");
  private readonly deadline: NodeJS.Timeout;
  private silence: NodeJS.Timeout | undefined;
  private isStopping = false;
  private isSettled = false;
  private resolve!: (result: CommandResult) => void;
  private reject!: (error: Error) => void;

  /** @throws GuestError when the signal is aborted already; nothing was started then. */
  constructor(
    private readonly name: string,
    private readonly options: CommandOptions,
    private readonly carrier: CommandCarrier,
  ) {
    if (options.signal?.aborted === true) {
      throw new GuestError("cancelled", `cancelled before running: ${name}`);
    }
    this.stdout = new Kept(options.keep ?? defaultKeep);
    this.stderr = new Kept(options.keep ?? defaultKeep);
    this.result = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.deadline = setTimeout(
      () => this.stop("deadline", `not finished after ${options.deadlineMs / 1000} s: ${name}`),
      options.deadlineMs,
    );
    options.signal?.addEventListener("abort", this.abort, { once: true });
    this.heard();
  }

  /** Has its result, or is being killed. */
  get ending(): boolean {
    return this.isSettled || this.isStopping;
  }

  get settled(): boolean {
    return this.isSettled;
  }

  addStdout(chunk: Buffer): void {
    this.heard();
    this.toStdout(this.out.write(chunk));
  }

  addStderr(chunk: Buffer): void {
    this.heard();
    this.toStderr(this.err.write(chunk), false);
  }

  /** Both streams are at their end. */
  endOutput(): void {
    this.toStdout(this.out.end());
    this.toStderr(this.err.end(), true);
  }

  /** The command ended by itself; a command that is being killed fails all the same. */
  finish(exitCode: number | null, signal: string | null): void {
    if (this.isStopping) return;
    const milliseconds = Math.round(performance.now() - this.began);
    const { stdout, stderr } = this.output;
    this.settle(() => this.resolve({ exitCode, signal, stdout, stderr, milliseconds }));
  }

  /** The connection broke. An arrow function, because it is used as a listener. */
  readonly lost = (): void => this.lostBecause("");

  /** @param reason what was wrong with the connection, for a person; may be empty. */
  lostBecause(reason: string): void {
    if (this.isStopping) return;
    const what = `the connection to the guest was lost after ${this.elapsed()} s of: ${this.name}`;
    const message = reason === "" ? what : `${what} (${reason})`;
    this.fail(new GuestError("lost", message, undefined, { output: this.output }));
  }

  fail(error: GuestError): void {
    this.settle(() => this.reject(error));
  }

  /** The input could not be read to its end. */
  readonly inputFailed = (error: Error): void =>
    this.stop("cancelled", `the input of ${this.name} could not be read: ${error.message}`);

  private readonly abort = (): void =>
    this.stop("cancelled", `cancelled after ${this.elapsed()} s of: ${this.name}`);

  private stop(fault: "deadline" | "silence" | "cancelled", message: string): void {
    if (this.ending) return;
    this.isStopping = true;
    clearTimeout(this.deadline);
    clearTimeout(this.silence);
    void this.carrier.kill().then((killed) => {
      const text = killed ? message : `${message}; it could not be killed in the guest`;
      this.fail(new GuestError(fault, text, undefined, { output: this.output }));
    });
  }

  private settle(act: () => void): void {
    if (this.isSettled) return;
    this.isSettled = true;
    clearTimeout(this.deadline);
    clearTimeout(this.silence);
    this.options.signal?.removeEventListener("abort", this.abort);
    this.carrier.settled();
    act();
  }

  private heard(): void {
    const { silenceMs } = this.options;
    if (silenceMs === undefined || this.ending) return;
    clearTimeout(this.silence);
    this.silence = setTimeout(
      () => this.stop("silence", `no output for ${silenceMs / 1000} s from: ${this.name}`),
      silenceMs,
    );
  }

  private toStdout(text: string): void {
    if (text === "") return;
    this.stdout.add(text);
    this.options.onStdout?.(text);
  }

  private toStderr(text: string, ended: boolean): void {
    const own = this.carrier.filterStderr?.(text, ended) ?? text;
    if (own === "") return;
    this.stderr.add(own);
    this.options.onStderr?.(own);
  }

  private get output(): { stdout: string; stderr: string } {
    return { stdout: this.stdout.text, stderr: this.stderr.text };
  }

  private elapsed(): string {
    return ((performance.now() - this.began) / 1000).toFixed(1);
  }
}

/** The last characters of a stream. */
class Kept {
  private parts: string[] = [];
  private length = 0;

  constructor(private readonly limit: number) {}

  add(text: string): void {
    this.parts.push(text);
    this.length += text.length;
    if (this.length > 2 * this.limit) {
      const tail = this.text;
      this.parts = [tail];
      this.length = tail.length;
    }
  }

  get text(): string {
    const whole = this.parts.join("");
    return whole.length > this.limit ? whole.slice(whole.length - this.limit) : whole;
  }
}
