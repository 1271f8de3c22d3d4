/** `vexlab stack prepare|remove`: the folders of a stack. */
import { chmod, mkdir, rm } from "node:fs/promises";
import { type Command, Option } from "commander";
import * as z from "zod";
import { resultsFolder } from "../lab/build/results.ts";
import { places, stackFolder } from "../lab/config/places.ts";
import { stackName } from "../lab/config/stackName.ts";
import { verbInput } from "../lab/config/verbInput.ts";

/** Input of both verbs. */
export const stackInput = z.strictObject({ stack: stackName() });

interface Flags {
  readonly input?: string;
  readonly stack?: string;
}

export function register(program: Command): void {
  const stack = program.command("stack").description("the folders of a stack");
  const verb = (name: string, description: string): Command =>
    stack
      .command(name)
      .description(description)
      .option("--stack <name>", "the stack whose folders they are")
      .addOption(
        new Option("--input <json>", "the same as one JSON object").env("VEXLAB_INPUT").hideHelp(),
      );

  verb("prepare", "make the stack's folder, which other users cannot list").action(
    async ({ input, ...flags }: Flags) => {
      const folder = stackFolder(verbInput("stack prepare", stackInput, input, flags).stack);
      // Others may pass through, for the user of the system's QEMU has to reach the pool, but can
      // list nothing; keys are files that only their owner reads.
      await mkdir(folder, { recursive: true });
      await chmod(folder, 0o711);
      print({ folder });
    },
  );
  verb("remove", "remove the stack's keys, console, markers and builds").action(
    async ({ input, ...flags }: Flags) => {
      const { stack: name } = verbInput("stack remove", stackInput, input, flags);
      await rm(stackFolder(name), { recursive: true, force: true });
      await rm(resultsFolder(name, places()), { recursive: true, force: true });
      print({ removed: true });
    },
  );
}

function print(result: unknown): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
