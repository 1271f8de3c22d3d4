/**
 * Runs Pulumi's command line as vexlab uses it: its own PULUMI_HOME, a state folder in the checkout,
 * a passphrase made here, no questions, no network of its own.
 */
import { spawn } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { mkdir, writeFile, link, rm } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";
import { execa } from "execa";
import { ExitCode, LabError } from "../lab/config/errors.ts";
import type { Places } from "../lab/config/places.ts";
import type { Toolchain } from "./install.ts";

/** The engine and what it is run with. */
export interface Engine {
  readonly program: string;
  /** The project's folder. */
  readonly folder: string;
  /** The variables that make Pulumi vexlab's, to be laid over an environment. */
  readonly variables: Readonly<Record<string, string>>;
  /** Variables of the user's that would contradict them, to be taken out. */
  readonly removed: readonly string[];
}

/** Where Pulumi keeps the state of this checkout's stacks. */
export const backendFolder = (where: Places): string => join(where.state, "pulumi");

const passphraseFile = (where: Places): string => join(where.state, "passphrase");

/** The engine of a toolchain for this checkout. */
export function engineOf(
  toolchain: Toolchain,
  where: Places,
  environment: NodeJS.ProcessEnv,
): Engine {
  return {
    program: join(toolchain.bin, "pulumi"),
    folder: where.checkout,
    variables: {
      PATH: [toolchain.bin, environment["PATH"] ?? ""].join(delimiter),
      PULUMI_HOME: toolchain.home,
      PULUMI_BACKEND_URL: pathToFileURL(backendFolder(where)).href,
      PULUMI_CONFIG_PASSPHRASE_FILE: passphraseFile(where),
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
      // Lets the salt be read from the state when Pulumi.<stack>.yaml doesn't have it.
      PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER: "true",
    },
    removed: ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_STACK", "PULUMI_ACCESS_TOKEN"],
  };
}

/**
 * Go's, of which Pulumi and most plugins are made: programs that live for seconds need not collect
 * their garbage, up to this much memory (Go's package runtime, "Environment Variables").
 */
const collection = { GOGC: "off", GOMEMLIMIT: "512MiB" };

/** An environment in which Pulumi is vexlab's. */
export function environmentOf(engine: Engine, base: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(base).filter(([name]) => !engine.removed.includes(name));
  return { ...collection, ...Object.fromEntries(kept), ...engine.variables };
}

/** Makes the state folder and, the first time, the passphrase. Nobody else may read them. */
export async function ensureBackend(where: Places): Promise<void> {
  // Passed through by QEMU's user on the way to a stack's disks.
  await mkdir(where.state, { recursive: true, mode: 0o711 });
  await mkdir(backendFolder(where), { recursive: true, mode: 0o700 });
  const file = passphraseFile(where);
  // Unique for each call: two in one process would take away each other's file.
  const temporary = `${file}.${randomUUID()}`;
  await writeFile(temporary, `${randomBytes(32).toString("base64url")}\n`, { mode: 0o600 });
  try {
    // A link never replaces: of two first runs, one's passphrase is the passphrase.
    await link(temporary, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Runs Pulumi for its output. @throws LabError (exit 3) with what Pulumi said */
export async function askPulumi(
  engine: Engine,
  args: readonly string[],
  options: { readonly environment: NodeJS.ProcessEnv; readonly input?: string },
): Promise<string> {
  const result = await execa(engine.program, [...args, "--non-interactive", "--color=never"], {
    env: environmentOf(engine, options.environment),
    extendEnv: false,
    cwd: engine.folder,
    reject: false,
    timeout: 120_000,
    ...(options.input === undefined ? { stdin: "ignore" as const } : { input: options.input }),
  });
  if (result.exitCode === 0) return result.stdout;
  throw new LabError(
    `pulumi ${args.join(" ")}: ${result.stderr.trim() || result.stdout.trim() || (result.shortMessage ?? "failed")}`,
    ExitCode.infrastructureFailed,
  );
}

/** How a run of Pulumi ended. */
export interface RunEnd {
  /** Null when it was killed. */
  readonly exitCode: number | null;
  /** The user stopped it. */
  readonly cancelled: boolean;
}

// Ctrl-C reaches this process from the terminal and, under `npm run`, a second time from npm.
const sameKeypressMs = 1_000;

/** A run of Pulumi whose output the user sees. */
export interface PulumiRun {
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly say: (text: string) => void;
  /** Told the process's number, which is that of its session as well. */
  readonly started?: (pid: number) => void;
}

/**
 * Runs Pulumi with its output shown as it comes. The first Ctrl-C asks Pulumi to stop, and its end
 * is waited for, because it still writes down what exists; the second kills it and its plugins.
 */
export function runPulumi(engine: Engine, run: PulumiRun): Promise<RunEnd> {
  const { args, environment, say, started } = run;
  return new Promise((resolve, reject) => {
    // A process group of its own, or the terminal would signal Pulumi as well, and Pulumi takes a
    // second signal for "at once".
    const child = spawn(engine.program, args, {
      cwd: engine.folder,
      env: environmentOf(engine, environment),
      stdio: ["ignore", "inherit", "inherit"],
      detached: true,
    });
    if (child.pid !== undefined) started?.(child.pid);
    let firstAt: number | undefined;
    const interrupted = (): void => {
      const now = performance.now();
      if (firstAt === undefined) {
        firstAt = now;
        say("Stopping; what Pulumi has begun it still writes down. Ctrl-C again kills it.");
        child.kill("SIGINT");
      } else if (now - firstAt > sameKeypressMs && child.pid !== undefined) {
        say("Killed. The next run clears what is left.");
        try {
          process.kill(-child.pid, "SIGKILL");
        } catch {
          child.kill("SIGKILL");
        }
      }
    };
    const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
    for (const signal of signals) process.on(signal, interrupted);
    const stopListening = (): void => {
      for (const signal of signals) process.off(signal, interrupted);
    };
    child.once("error", (error) => {
      stopListening();
      reject(error);
    });
    child.once("exit", (exitCode) => {
      stopListening();
      resolve({ exitCode, cancelled: firstAt !== undefined });
    });
  });
}
