/**
 * The outputs of a command resource: its inputs as they were given (so secrets among them stay
 * secret), and what the command gave. stdout and stderr are secret only when the program says so
 * with `additionalSecretOutputs`.
 */
import { differences } from "./diff.ts";
import { unknown, type Properties, type PropertyValue } from "./propertyValue.ts";

/** What a command that succeeded gave. */
export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  /** Undefined: none were asked for. */
  readonly assets: PropertyValue | undefined;
  readonly archive: PropertyValue | undefined;
}

const resultNames = ["stdout", "stderr", "assets", "archive"] as const;

/**
 * Outputs after a create (without `before`) or an update; where there was no command to run, the
 * results are those of before.
 */
export function outputsAfter(
  inputs: Properties,
  result: CommandResult | undefined,
  before: Properties = {},
): Properties {
  const outputs: Properties = { ...inputs, stdout: "", stderr: "" };
  for (const name of resultNames) {
    const value = (result ?? before)[name];
    if (value !== undefined && value !== null) outputs[name] = value;
  }
  return outputs;
}

/** Outputs shown by the preview of a create. */
export function outputsBeforeCreate(inputs: Properties): Properties {
  return { ...inputs, stdout: unknown, stderr: unknown };
}

/**
 * Outputs shown by the preview of an update: those of before, or unknown as soon as any input
 * differs (an unknown one always does), since a command may depend on each of them.
 */
export function outputsBeforeUpdate(
  inputs: Properties,
  oldInputs: Properties,
  before: Properties,
): Properties {
  const outputs = outputsAfter(inputs, undefined, before);
  if (differences(oldInputs, inputs).length > 0) {
    for (const name of resultNames) if (name in outputs) outputs[name] = unknown;
  }
  return outputs;
}
