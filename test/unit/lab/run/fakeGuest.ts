/** A guest for testing the runner's own logic: answers from a script, by the command's words. */
import { setTimeout as delay } from "node:timers/promises";
import { GuestError } from "../../../../lab/guest/session.ts";
import type { DomainState, Guest, GuestWitness } from "../../../../lab/run/guest.ts";
import type { RunPlan } from "../../../../lab/run/plan.ts";
import { everything } from "../../../../lab/run/selection.ts";
import type { CommandOptions, CommandResult } from "../../../../lab/guest/session.ts";

export interface Answer {
  readonly exitCode?: number;
  readonly stdout?: string;
  readonly stderr?: string;
  /** Printed piece by piece after `stdout`, with this pause before each. */
  readonly drip?: { readonly pieces: readonly string[]; readonly pauseMs: number };
  /** Never ends by itself: only an abort ends it, or nothing at all. */
  readonly hangs?: true | "for ever";
  /** Fails like this after its output. */
  readonly fails?: GuestError;
  /** Called when the command has printed its output. */
  readonly then?: () => void;
}

/** The guest's state that the runner asks for by ordinary commands. */
export class FakeGuest implements Guest {
  readonly ran: string[] = [];
  readonly loaded = new Set<string>();
  readonly kernelLog: string[] = [];
  taint = 0;
  /** Seconds since its boot, when the next marker is written. */
  kernelTime = 1;
  kernelRelease = "6.1.0-test";
  /** Answers by a piece of the command line; the first that matches counts. */
  readonly answers: [piece: string, answer: Answer][] = [];
  /** When set, every command fails like this. */
  unreachable: GuestError | undefined;

  async run(argv: readonly string[], options: CommandOptions): Promise<CommandResult> {
    const line = argv.join(" ");
    this.ran.push(line);
    await Promise.resolve();
    if (this.unreachable) throw this.unreachable;
    const scripted = this.answers.find(([piece]) => line.includes(piece))?.[1];
    const answer = scripted ?? this.standard(argv);
    if (answer.stdout) options.onStdout?.(answer.stdout);
    if (answer.stderr) options.onStderr?.(answer.stderr);
    for (const piece of answer.drip?.pieces ?? []) {
      await delay(answer.drip?.pauseMs);
      if (options.signal?.aborted) throw new GuestError("cancelled", "cancelled");
      options.onStdout?.(piece);
    }
    answer.then?.();
    if (answer.fails) throw answer.fails;
    if (answer.hangs === "for ever") await new Promise(() => undefined);
    if (answer.hangs) await this.untilAborted(options.signal);
    const { exitCode = 0, stdout = "", stderr = "" } = answer;
    return { exitCode, signal: null, stdout, stderr, milliseconds: 1 };
  }

  uploadFolder(local: string, remote: string): Promise<void> {
    this.ran.push(`upload ${local} ${remote}`);
    return Promise.resolve();
  }

  private checkpoint(argv: readonly string[]): string {
    const [since = "", next = ""] = argv.slice(-3);
    const from = this.kernelLog.findLastIndex((line) => line.includes(since)) + 1;
    this.kernelLog.push(`[${this.kernelTime.toFixed(6)}] ${next}`);
    // With priorities, as dmesg --raw shows them: a program's for the markers.
    const lines = this.kernelLog
      .slice(from)
      .map((line) => `<${line.includes("vexlab: ") ? 12 : 4}>${line}`);
    return `${[this.kernelRelease, `${this.taint}`, [...this.loaded].join(" "), ...lines].join("\n")}\n`;
  }

  private standard(argv: readonly string[]): Answer {
    const line = argv.join(" ");
    if (line.includes("dmesg")) return { stdout: this.checkpoint(argv) };
    if (argv.includes("insmod")) this.loaded.add("hello");
    if (argv.includes("rmmod")) this.loaded.delete("hello");
    return {};
  }

  private untilAborted(signal: AbortSignal | undefined): Promise<never> {
    return new Promise((_, reject) => {
      const abort = (): void => reject(new GuestError("cancelled", "cancelled"));
      if (signal?.aborted) abort();
      signal?.addEventListener("abort", abort);
    });
  }
}

export class FakeWitness implements GuestWitness {
  console = "";
  state: DomainState = "running";
  paused: string | undefined;
  /** What the console shows when a letter is pressed with SysRq. */
  readonly sysrq = new Map<string, string>();
  readonly pressed: string[] = [];

  pressSysrq(letter: string): Promise<void> {
    this.pressed.push(letter);
    this.console += this.sysrq.get(letter) ?? "";
    return Promise.resolve();
  }

  consoleSinceStart(): Promise<string> {
    return Promise.resolve(this.console);
  }

  async *consoleText(signal: AbortSignal): AsyncGenerator<string> {
    let from = 0;
    while (!signal.aborted) {
      if (this.console.length > from) yield this.console.slice(from);
      from = this.console.length;
      await delay(5);
    }
  }

  domainState(): Promise<DomainState> {
    return Promise.resolve(this.state);
  }

  whyPaused(): Promise<string | undefined> {
    return Promise.resolve(this.paused);
  }
}

export const plan: RunPlan = {
  runId: "run-1",
  localFolder: "/builds/hello",
  remoteFolder: "/var/lib/vexlab/run/run-1",
  kernelRelease: "6.1.0-test",
  requires: ["videodev"],
  modules: [{ file: "/var/lib/vexlab/run/run-1/hello.ko", name: "hello", parameters: ["debug=1"] }],
  filesystemType: undefined,
  suites: [
    { name: "first", command: ["tests/first.sh"], caseTimeoutMs: 60, timeoutMs: 400, load: true },
    {
      name: "second",
      command: ["tests/second.sh"],
      caseTimeoutMs: 60,
      timeoutMs: 400,
      load: false,
    },
  ],
  selection: everything,
  environment: { VEXLAB_SOURCE: "/var/lib/vexlab/run/run-1" },
};
