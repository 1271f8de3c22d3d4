/** How an error ends the command: what is printed and the exit code. */
import { CommanderError } from "commander";
import { ExitCode, LabError } from "../lab/config/errors.ts";

/** Prints an error the way a person wants to read it; the code to exit with. */
export function printError(error: unknown, environment: NodeJS.ProcessEnv = process.env): number {
  if (error instanceof CommanderError) {
    // Commander has printed it already. Its own 1 would mean "a test failed".
    return error.exitCode === 0 ? ExitCode.passed : ExitCode.usage;
  }
  const debug = Boolean(environment["VEXLAB_DEBUG"]);
  if (error instanceof LabError) {
    process.stderr.write(`vexlab: ${error.message}\n`);
    if (error.next) process.stderr.write(`${error.next}\n`);
    if (debug) process.stderr.write(`${error.stack ?? ""}\n`);
    return error.exitCode;
  }
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`vexlab: unexpected error: ${message}\n`);
  if (debug && error instanceof Error) process.stderr.write(`${error.stack ?? ""}\n`);
  else process.stderr.write("Set VEXLAB_DEBUG=1 to see where it comes from.\n");
  return ExitCode.infrastructureFailed;
}
