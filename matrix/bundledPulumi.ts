/**
 * vexlab's own Pulumi for the Automation API, which would look for one on PATH and run it in the
 * terminal's process group, where Ctrl-C reaches Pulumi twice: it takes a second signal for "at once".
 */
import type { PulumiCommand } from "@pulumi/pulumi/automation/index.js";
import { execa } from "execa";
import { environmentOf, type Engine } from "../toolchain/engine.ts";

/** What the Automation API takes for the result of a command. */
interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
  readonly err?: Error;
}

/** A command of Pulumi's that failed, or was killed. */
export class PulumiFailed extends Error {
  constructor(
    command: string,
    /** Null when it was killed. */
    readonly exitCode: number | null,
    readonly stderr: string,
  ) {
    super(`pulumi ${command} ended with ${exitCode ?? "a signal"}: ${stderr.trim().slice(-2000)}`);
  }
}

export interface PulumiProcess {
  readonly engine: Engine;
  /** What it is run with, below the engine's own variables. */
  readonly environment: NodeJS.ProcessEnv;
  /** Told of each process of Pulumi's when it starts. */
  readonly started: (pid: number) => void;
}

/**
 * The command that a workspace runs.
 * @returns what the API's type, whose `run` is not in its declarations, is used for
 */
export function bundledPulumi({ engine, environment, started }: PulumiProcess): PulumiCommand {
  const run = async (
    args: readonly string[],
    folder: string,
    variables: Readonly<Record<string, string>>,
    onOutput?: (text: string) => void,
    onError?: (text: string) => void,
    signal?: AbortSignal,
  ): Promise<CommandResult> => {
    const child = execa(engine.program, [...args, "--non-interactive"], {
      cwd: folder,
      env: environmentOf(engine, { ...environment, ...variables, PULUMI_AUTOMATION_API: "true" }),
      extendEnv: false,
      stdin: "ignore",
      reject: false,
      detached: true,
      cleanup: false,
      maxBuffer: 256 * 1024 * 1024,
    });
    if (child.pid !== undefined) started(child.pid);
    child.stdout.setEncoding("utf8").on("data", (text: string) => onOutput?.(text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => onError?.(text));
    // What Pulumi has begun it still writes down; a second SIGINT would keep it from that.
    const stop = (): void => void child.kill("SIGINT");
    if (signal?.aborted === true) stop();
    signal?.addEventListener("abort", stop, { once: true });
    try {
      const { stdout, stderr, exitCode } = await child;
      if (exitCode === 0) return { stdout, stderr, code: 0 };
      throw new PulumiFailed(args.slice(0, 2).join(" "), exitCode ?? null, stderr || stdout);
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  };
  return { command: engine.program, version: null, run } as unknown as PulumiCommand;
}
