/** How an error ends the command: what is printed and the exit code. */
import { CommanderError } from "commander";
import { ExitCode, LabError } from "../lab/config/errors.ts";
import { printable } from "../lab/report/progress.ts";

/** A message may quote what a guest has said. */
const say = (text: string): void => void process.stderr.write(`${printable(text)}\n`);

/** Prints an error the way a person wants to read it; the code to exit with. */
export function printError(error: unknown, environment: NodeJS.ProcessEnv = process.env): number {
  if (error instanceof CommanderError) {
    // Commander has printed it already. Its own 1 would mean "a test failed".
    return error.exitCode === 0 ? ExitCode.passed : ExitCode.usage;
  }
  const debug = Boolean(environment["VEXLAB_DEBUG"]);
  if (error instanceof LabError) {
    say(`vexlab: ${error.message}`);
    if (error.next) say(error.next);
    if (debug) say(error.stack ?? "");
    return error.exitCode;
  }
  const message = error instanceof Error ? error.message : String(error);
  say(`vexlab: unexpected error: ${message}`);
  if (debug && error instanceof Error) say(error.stack ?? "");
  else say("Set VEXLAB_DEBUG=1 to see where it comes from.");
  return ExitCode.infrastructureFailed;
}
