/** `vexlab key create|remove`: the ed25519 key of a stack. */
import { Option, type Command } from "commander";
import * as z from "zod";
import { stackFolder } from "../lab/config/places.ts";
import { stackName } from "../lab/config/stackName.ts";
import { verbInput } from "../lab/config/verbInput.ts";
import { ensureStackKey, removeStackKey } from "../lab/guest/keys.ts";

/** Input of both verbs. */
export const keyInput = z.strictObject({ stack: stackName() });

interface Flags {
  readonly input?: string;
  readonly stack?: string;
}

export function register(program: Command): void {
  const key = program.command("key").description("the SSH key of a stack");
  const verb = (name: string, description: string): Command =>
    key
      .command(name)
      .description(description)
      .option("--stack <name>", "the stack whose key it is")
      .addOption(
        new Option("--input <json>", "the same as one JSON object").env("VEXLAB_INPUT").hideHelp(),
      );

  verb("create", "make the key if there is none").action(async (flags: Flags) => {
    const { stack } = keyInputOf("key create", flags);
    print(await ensureStackKey(stackFolder(stack), `vexlab ${stack}`));
  });
  verb("remove", "remove the key and what is known of the guest's host key").action(
    async (flags: Flags) => {
      const { stack } = keyInputOf("key remove", flags);
      await removeStackKey(stackFolder(stack));
      print({ removed: true });
    },
  );
}

function keyInputOf(verb: string, { input, ...flags }: Flags): z.output<typeof keyInput> {
  return verbInput(verb, keyInput, input, flags);
}

function print(result: unknown): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
