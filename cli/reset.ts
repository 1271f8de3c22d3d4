/** `vexlab reset [stack]`: the stack's guest as it was just after its boot. */
import type { Command } from "commander";
import { cancellable } from "../lab/config/cancellation.ts";
import { terminalProgress } from "../lab/report/progress.ts";
import { warmStart } from "../lab/warm/stackGuest.ts";
import { knownGuest } from "./knownGuest.ts";

export function register(program: Command): void {
  program
    .command("reset")
    .argument("[stack]", "the stack whose guest it is", "dev")
    .description("bring a guest back to just after its boot: memory, disks, everything")
    .action(async (stack: string) => {
      const guest = await knownGuest(stack);
      const outcome = await cancellable((signal) =>
        warmStart(guest, terminalProgress(), { signal }),
      );
      process.stdout.write(
        "warm" in outcome
          ? `The guest of stack ${stack} is as after its boot.\n`
          : `The guest of stack ${stack} is booting: vexlab vm wait --stack ${stack}\n`,
      );
    });
}
