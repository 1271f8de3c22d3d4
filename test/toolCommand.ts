/** The command line of the project's own long runs (`npm run bench`, `faults`, `mutants`). */
import { Command } from "commander";
import { ExitCode } from "../lab/config/errors.ts";

/**
 * A command that is called by npm, and takes names of what it runs; all when none is given.
 * @param what what a name is of, such as "row"
 * @param known the names that there are
 */
export function toolCommand(name: string, what: string, known: readonly string[]): Command {
  const command = new Command(`npm run ${name} --`);
  return command
    .argument("[names...]", `${what}s to run, in this order; all when none is named`)
    .addHelpText("after", `\n${what}s: ${known.join(", ")}`)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? ExitCode.passed : ExitCode.usage))
    .hook("preAction", ({ args }) => {
      const unknown = args.filter((word) => !known.includes(word));
      if (unknown.length > 0)
        command.error(
          `error: no such ${what}: ${unknown.join(", ")}; there are ${known.join(", ")}`,
        );
    })
    .action(() => undefined);
}
