/**
 * The inputs of `command:local:Command` and `command:local:run`: which there are, of which type,
 * and the plain form in which they are used.
 */
import {
  isObject,
  isUnknown,
  signatureKey,
  withoutSecrets,
  type Properties,
  type PropertyValue,
} from "./propertyValue.ts";

type InputType = "a string" | "true or false" | "a list of strings" | "a map of strings" | "a list";

const commonInputs = {
  stdin: "a string",
  logging: "a string",
  interpreter: "a list of strings",
  dir: "a string",
  environment: "a map of strings",
  assetPaths: "a list of strings",
  archivePaths: "a list of strings",
  addPreviousOutputInEnv: "true or false",
} as const satisfies Record<string, InputType>;

/** Inputs of the resource; all optional. */
export const commandInputs: Readonly<Record<string, InputType>> = {
  ...commonInputs,
  create: "a string",
  update: "a string",
  delete: "a string",
  triggers: "a list",
};

/** Inputs of the function; `command` is required. */
export const runInputs: Readonly<Record<string, InputType>> = {
  ...commonInputs,
  command: "a string",
};

export interface InputFailure {
  readonly property: string;
  readonly reason: string;
}

/** Everything that is wrong with the inputs; secrets and unknowns pass for what they will be. */
export function inputFailures(
  inputs: Properties,
  allowed: Readonly<Record<string, InputType>>,
  required: readonly string[] = [],
): InputFailure[] {
  const failures: InputFailure[] = required
    .filter((name) => (inputs[name] ?? null) === null)
    .map((name) => ({ property: name, reason: `the input "${name}" is required` }));
  for (const [name, value] of Object.entries(inputs)) {
    const type = allowed[name];
    if (type === undefined) {
      const names = Object.keys(allowed).sort().join(", ");
      failures.push({ property: name, reason: `there is no input "${name}"; allowed: ${names}` });
    } else if (value !== null && !fits(withoutSecrets(value), type)) {
      failures.push({ property: name, reason: `the input "${name}" must be ${type}` });
    }
  }
  return failures;
}

function fits(value: PropertyValue, type: InputType): boolean {
  if (isUnknown(value)) return true;
  switch (type) {
    case "a string":
      return typeof value === "string";
    case "true or false":
      return typeof value === "boolean";
    case "a list":
      return Array.isArray(value);
    case "a list of strings":
      return Array.isArray(value) && value.every((item) => typeof item === "string");
    case "a map of strings":
      return (
        isObject(value) &&
        !(signatureKey in value) &&
        Object.values(value).every((item) => typeof item === "string")
      );
  }
}

/** Where a command's output goes besides the outputs. */
export interface LoggedStreams {
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/** How to run a command, in plain values. */
export interface CommandSettings {
  readonly interpreter: readonly string[];
  /** Undefined: the working directory of the plugin, which is the Pulumi program's. */
  readonly dir: string | undefined;
  readonly environment: Readonly<Record<string, string>>;
  readonly stdin: string;
  readonly logged: LoggedStreams;
  readonly assetPaths: readonly string[] | undefined;
  readonly archivePaths: readonly string[] | undefined;
  readonly addPreviousOutputInEnv: boolean;
}

/** The settings in inputs that have passed inputFailures, or in a resource's state. */
export function commandSettings(inputs: Properties): CommandSettings {
  const plain = withoutSecrets(inputs) as Properties;
  const strings = (name: string) =>
    Array.isArray(plain[name]) ? (plain[name] as string[]) : undefined;
  const interpreter = strings("interpreter") ?? [];
  const logging = plain["logging"] ?? "stdoutAndStderr";
  return {
    interpreter: interpreter.length > 0 ? interpreter : ["/bin/sh", "-c"],
    dir: plainText(inputs, "dir"),
    environment: (plain["environment"] ?? {}) as Record<string, string>,
    stdin: plainText(inputs, "stdin") ?? "",
    logged: {
      stdout: logging === "stdout" || logging === "stdoutAndStderr",
      stderr: logging === "stderr" || logging === "stdoutAndStderr",
    },
    assetPaths: strings("assetPaths"),
    archivePaths: strings("archivePaths"),
    addPreviousOutputInEnv: plain["addPreviousOutputInEnv"] !== false,
  };
}

/** A string among the properties, with a secret's envelope taken off; undefined if there is none. */
export function plainText(properties: Properties, name: string): string | undefined {
  const value = withoutSecrets(properties[name] ?? null);
  return typeof value === "string" ? value : undefined;
}
