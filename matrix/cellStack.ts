/**
 * The stack of one cell, through Pulumi's Automation API: the same program, state and engine as
 * `vexlab up`, but a project file of its own, so that nothing of a cell is ever in stacks/ and no stack
 * of the user's is deselected.
 *
 *     <state>/matrix/project/Pulumi.yaml           the checkout's, with the way to its program
 *     <state>/matrix/project/Pulumi.<stack>.yaml   a cell's configuration, while its stack exists
 */
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { EngineEvent, Stack as AutomationStack } from "@pulumi/pulumi/automation/index.js";
import { parse, stringify } from "yaml";
import { ExitCode } from "../lab/config/errors.ts";
import { stackFolder, type Places } from "../lab/config/places.ts";
import { faultFileVariable, readFault } from "../lab/config/programFault.ts";
import { writeWhole } from "../lab/report/wholeFile.ts";
import type { Progress } from "../lab/report/progress.ts";
import { readLastVerdict } from "../lab/run/lastVerdict.ts";
import { backendFolder, type Engine, type RunEnd } from "../toolchain/engine.ts";
import { outcomeOf, type Outcome } from "../toolchain/outcome.ts";
import { providerLimit, ProviderWatch } from "../toolchain/providerWatch.ts";
import {
  clearLeft,
  faultsFolder,
  project,
  stackExists,
  takeStack,
  type Stack,
} from "../toolchain/stack.ts";
import { bundledPulumi, PulumiFailed } from "./bundledPulumi.ts";

/** What a cell's stack is given and tells. */
export interface CellContext {
  readonly where: Places;
  readonly engine: Engine;
  readonly progress: Progress;
  /** Pulumi's output as it comes, for the cell's log. */
  readonly output: (text: string) => void;
  /** Told of each process that starts to work for the cell. */
  readonly started: (pid: number) => void;
}

/** What Pulumi is doing for a stack. */
interface PulumiNow {
  watch?: ProviderWatch;
}

const projectFolder = (where: Places): string => join(where.state, "matrix", "project");
const stackFile = (where: Places, stack: string): string =>
  join(projectFolder(where), `Pulumi.${stack}.yaml`);

/** Writes the project file of all cells. */
export async function writeProject(where: Places): Promise<void> {
  const folder = projectFolder(where);
  await mkdir(folder, { recursive: true });
  const text = await readFile(join(where.checkout, "Pulumi.yaml"), "utf8");
  const settings = parse(text) as Record<string, unknown>;
  Reflect.deleteProperty(settings, "stackConfigDir");
  const main = join(where.checkout, String(settings["main"]));
  await writeWhole(join(folder, "Pulumi.yaml"), stringify({ ...settings, main }));
}

/** The cells' stacks that runs which were killed have left. */
export async function leftStacks(where: Places): Promise<string[]> {
  const files = await readdir(projectFolder(where)).catch(() => []);
  return files.flatMap((file) => /^Pulumi\.(.+)\.yaml$/.exec(file)?.[1] ?? []);
}

/** A cell's stack, which belongs to this process until it is closed. */
export class CellStack {
  private constructor(
    private readonly stack: Stack,
    private readonly automation: AutomationStack,
    private readonly context: CellContext,
    private readonly pulumi: PulumiNow,
    private readonly release: () => Promise<void>,
  ) {}

  /**
   * Makes the stack, with nothing in it.
   * @param config its configuration; that of a stack that was left when undefined
   * @throws LabError (exit 3), also when another process has the stack
   */
  static async open(
    name: string,
    config: Readonly<Record<string, string>> | undefined,
    context: CellContext,
  ): Promise<CellStack> {
    const { where, progress } = context;
    const folder = projectFolder(where);
    const engine = { ...context.engine, folder };
    const stack: Stack = {
      ...{ name, where, engine, progress, configFolder: folder },
      environment: process.env,
    };
    const lock = await takeStack(stack);
    try {
      const existed = await stackExists(stack);
      if (config !== undefined && !existed)
        await writeWhole(stackFile(where, name), stringify({ config }));
      // Its guest's port is another one.
      const environment = { ...process.env, VEXFS_VM_SSH_PORT: undefined };
      // Loaded here only: every verb is in one file with this, and would load Pulumi when it starts.
      const { LocalWorkspace, Stack: Automation } =
        await import("@pulumi/pulumi/automation/index.js");
      const pulumi: PulumiNow = {};
      const started = (pid: number): void => {
        context.started(pid);
        pulumi.watch?.begin(pid);
      };
      const workspace = await LocalWorkspace.create({
        workDir: folder,
        secretsProvider: "passphrase",
        pulumiHome: engine.variables["PULUMI_HOME"] ?? "",
        pulumiCommand: bundledPulumi({ engine, environment, started }),
        envVars: { [faultFileVariable]: faultFile(stack) },
      });
      const automation = existed
        ? await Automation.select(name, workspace)
        : await Automation.create(name, workspace);
      const opened = new CellStack(stack, automation, context, pulumi, () => lock.release());
      if (existed && config !== undefined) {
        await opened.destroy();
        await opened.forget();
        await lock.release();
        return await CellStack.open(name, config, context);
      }
      return opened;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /**
   * Makes the guest, builds the module and runs its suites.
   * @param ready called when the guest has started, and what others start from is saved
   */
  async up(signal: AbortSignal, ready: () => void): Promise<Outcome> {
    const startedAt = new Date().toISOString();
    const fault = faultFile(this.stack);
    await mkdir(faultsFolder(this.stack), { recursive: true });
    await rm(fault, { force: true });
    const isReady = (event: EngineEvent): void => {
      const { metadata } = event.resOutputsEvent ?? {};
      if (metadata?.urn.endsWith("::guest-wait") === true) ready();
    };
    const end = await this.ended(signal, () =>
      this.watched((take) => {
        const onEvent = (event: EngineEvent): void => {
          take(event);
          isReady(event);
        };
        return this.automation.up({ ...this.options(signal), onEvent });
      }),
    );
    const last = await readLastVerdict(stackFolder(this.stack.name, this.stack.where));
    const verdict = last && last.at >= startedAt ? last : undefined;
    const said = readFault(fault);
    await rm(fault, { force: true });
    const outcome = outcomeOf(end, said, verdict, this.pulumi.watch?.stalled);
    return said === undefined ? outcome : { ...outcome, reason: said.message };
  }

  /** Removes everything of the stack; a second time with a refresh, as `vexlab destroy` does. */
  async destroy(): Promise<void> {
    const destroy = (options: { refresh?: true }): Promise<void> =>
      this.watched((onEvent) =>
        this.automation.destroy({ ...this.options(), ...options, onEvent }),
      );
    try {
      await destroy({});
    } catch (error) {
      if (!(error instanceof PulumiFailed)) throw error;
      this.context.output("once more, with a refresh\n");
      // A provider that was killed may have made what Pulumi doesn't know of.
      await clearLeft(this.stack);
      await destroy({ refresh: true });
    }
  }

  /** Removes the empty stack with its configuration and what Pulumi keeps of removed stacks. */
  async forget(): Promise<void> {
    const { name, where } = this.stack;
    await this.automation.workspace.removeStack(name);
    const kept = join(backendFolder(where), ".pulumi");
    for (const of of ["history", "backups"])
      await rm(join(kept, of, project, name), { recursive: true, force: true });
    for (const end of ["", ".attrs"])
      await rm(join(kept, "stacks", project, `${name}.json.bak${end}`), { force: true });
    await rm(stackFile(where, name), { force: true });
  }

  /** Lets others have the stack. */
  close(): Promise<void> {
    return this.release();
  }

  private options(signal?: AbortSignal) {
    const { output } = this.context;
    return {
      ...{ color: "never" as const, suppressOutputs: true, suppressProgress: true },
      ...{ onOutput: output, onError: output },
      ...(signal && { signal }),
    };
  }

  /** Does something with Pulumi, whose libvirt provider is given a deadline. */
  private async watched(
    work: (onEvent: (event: EngineEvent) => void) => Promise<unknown>,
  ): Promise<void> {
    const { progress } = this.context;
    const watch = new ProviderWatch(providerLimit(), (text) => progress.line(text));
    this.pulumi.watch = watch;
    try {
      await work((event) => watch.take(event));
    } finally {
      watch.end();
    }
  }

  private async ended(signal: AbortSignal, work: () => Promise<unknown>): Promise<RunEnd> {
    try {
      await work();
      return { exitCode: ExitCode.passed, cancelled: false };
    } catch (error) {
      if (!(error instanceof PulumiFailed)) throw error;
      return { exitCode: error.exitCode, cancelled: signal.aborted };
    }
  }
}

const faultFile = (stack: Stack): string => join(faultsFolder(stack), `${stack.name}.json`);
