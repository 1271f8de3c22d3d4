/** The environment of a command. */
import type { CommandSettings } from "./inputs.ts";

/** What the resource's command printed when it last ran. */
export interface PreviousOutput {
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * The plugin's own environment, then the input `environment`, then PULUMI_COMMAND_STDOUT and
 * PULUMI_COMMAND_STDERR where there is a previous output that isn't empty; later wins.
 */
export function commandEnvironment(
  inherited: NodeJS.ProcessEnv,
  settings: Pick<CommandSettings, "environment" | "addPreviousOutputInEnv">,
  previous: PreviousOutput = { stdout: "", stderr: "" },
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(inherited)) {
    if (value !== undefined) environment[name] = value;
  }
  Object.assign(environment, settings.environment);
  if (settings.addPreviousOutputInEnv) {
    if (previous.stdout !== "") environment["PULUMI_COMMAND_STDOUT"] = previous.stdout;
    if (previous.stderr !== "") environment["PULUMI_COMMAND_STDERR"] = previous.stderr;
  }
  return environment;
}
