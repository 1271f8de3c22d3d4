/**
 * What the plugin does for each request of the engine, in Pulumi's terms but free of gRPC: the
 * resource `command:local:Command` and the function `command:local:run`.
 */
import { randomBytes } from "node:crypto";
import type { Writable } from "node:stream";

import { collectArchive, collectAssets, restoreFiles } from "./collectedFiles.ts";
import { differences, type Difference } from "./diff.ts";
import { commandEnvironment, type PreviousOutput } from "./environment.ts";
import {
  commandInputs,
  commandSettings,
  inputFailures,
  plainText,
  runInputs,
  type InputFailure,
} from "./inputs.ts";
import {
  outputsAfter,
  outputsBeforeCreate,
  outputsBeforeUpdate,
  type CommandResult,
} from "./outputs.ts";
import type { ProcessGroups } from "./processGroups.ts";
import { holdsSecret, type Properties } from "./propertyValue.ts";
import { runProcess } from "./runProcess.ts";

/** What every operation on a resource tells: which, and how long it may take. */
export interface Operation {
  readonly urn: string;
  /** Seconds (the resource option `customTimeouts`); 0: for ever. */
  readonly timeout: number;
}

export class CommandProvider {
  private readonly cancelling = new AbortController();

  constructor(
    private readonly groups: ProcessGroups,
    private readonly statusLines: (urn: string) => Writable,
  ) {}

  check(urn: string, inputs: Properties): InputFailure[] {
    assertLocalCommand(urn);
    return inputFailures(inputs, commandInputs);
  }

  diff(urn: string, oldInputs: Properties, inputs: Properties): Difference[] {
    assertLocalCommand(urn);
    return differences(oldInputs, inputs);
  }

  previewCreate(urn: string, inputs: Properties): Properties {
    assertLocalCommand(urn);
    return outputsBeforeCreate(inputs);
  }

  async create(
    operation: Operation,
    inputs: Properties,
  ): Promise<{ id: string; outputs: Properties }> {
    assertLocalCommand(operation.urn);
    const result = await this.runInput("create", operation, inputs);
    const name = operation.urn.split("::").slice(3).join("::");
    return {
      id: name + randomBytes(4).toString("hex"),
      outputs: outputsAfter(inputs, result),
    };
  }

  previewUpdate(
    urn: string,
    inputs: Properties,
    oldInputs: Properties,
    before: Properties,
  ): Properties {
    assertLocalCommand(urn);
    return outputsBeforeUpdate(inputs, oldInputs, before);
  }

  /** Runs `update`, or `create` where there is no `update`. */
  async update(operation: Operation, inputs: Properties, before: Properties): Promise<Properties> {
    assertLocalCommand(operation.urn);
    const name = plainText(inputs, "update") === undefined ? "create" : "update";
    const result = await this.runInput(name, operation, inputs, previousOutput(before));
    return outputsAfter(inputs, result, result ? {} : await restored(before));
  }

  /** Runs `delete` with the inputs and the output that the state has. */
  async delete(operation: Operation, state: Properties): Promise<void> {
    assertLocalCommand(operation.urn);
    await this.runInput("delete", operation, state, previousOutput(state));
  }

  /** A command's state is what it was: there is nothing to look at. */
  async read(urn: string, state: Properties): Promise<Properties> {
    assertLocalCommand(urn);
    return await restored(state);
  }

  /** The function `command:local:run`; failures are mistakes in its arguments. */
  async invoke(
    token: string,
    inputs: Properties,
  ): Promise<{ failures: InputFailure[]; outputs?: Properties }> {
    if (token !== "command:local:run") throw notOurs(token);
    const failures = inputFailures(inputs, runInputs, ["command"]);
    if (failures.length > 0) return { failures };
    const result = await this.runInput("command", { urn: "", timeout: 0 }, inputs);
    return { failures, outputs: outputsAfter(inputs, result) };
  }

  /** Ends what runs, and everything that is asked for later. */
  cancel(): void {
    this.cancelling.abort();
  }

  private async runInput(
    name: "create" | "update" | "delete" | "command",
    { urn, timeout }: Operation,
    properties: Properties,
    previous?: PreviousOutput,
  ): Promise<CommandResult | undefined> {
    const command = plainText(properties, name);
    if (command === undefined) return undefined;
    const settings = commandSettings(properties);
    const folder = settings.dir ?? process.cwd();
    const signals = [this.cancelling.signal];
    if (timeout > 0) signals.push(AbortSignal.timeout(timeout * 1000));
    const lines = this.statusLines(urn);
    try {
      const output = await runProcess({
        interpreter: settings.interpreter,
        command,
        ...(holdsSecret(properties[name]) ? { shownCommand: "[secret]" } : {}),
        folder,
        environment: commandEnvironment(process.env, settings, previous),
        stdin: settings.stdin,
        logged: settings.logged,
        lines,
        groups: this.groups,
        signal: AbortSignal.any(signals),
      });
      const { assetPaths, archivePaths } = settings;
      return {
        ...output,
        assets: assetPaths && (await collectAssets(folder, assetPaths)),
        archive: archivePaths && (await collectArchive(folder, archivePaths)),
      };
    } finally {
      await new Promise<void>((resolve) => lines.end(resolve));
    }
  }
}

function restored(state: Properties): Promise<Properties> {
  const { dir, archivePaths } = commandSettings(state);
  return restoreFiles(state, dir ?? process.cwd(), archivePaths);
}

function previousOutput(state: Properties): PreviousOutput {
  return { stdout: plainText(state, "stdout") ?? "", stderr: plainText(state, "stderr") ?? "" };
}

function assertLocalCommand(urn: string): void {
  // urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME; a name may hold "::" itself.
  const type = urn.split("::")[2]?.split("$").at(-1) ?? urn;
  if (type !== "command:local:Command") throw notOurs(type);
}

function notOurs(token: string): Error {
  if (token.startsWith("command:remote:")) {
    return new Error(
      `${token} needs the official command plugin. The one in use is vexlab's stand-in for ` +
        "networks where that can't be had; it does command:local:Command and command:local:run only.",
    );
  }
  return new Error(`the command plugin (vexlab's stand-in) has nothing called "${token}"`);
}
