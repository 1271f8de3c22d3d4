/** `vexlab recover [stack]`: clear what a killed run left, so that plain `pulumi` works again. */
import type { Command } from "commander";

export function register(program: Command): void {
  program
    .command("recover")
    .argument("[stack]", "the stack that a killed run left locked", "dev")
    .description("clear the lock and the unfinished operations of a killed run")
    .action(async (name: string) => {
      const { ensureDaemon, openStack } = await import("./stackRun.ts");
      const { takeStack } = await import("../toolchain/stack.ts");
      const stack = await openStack(name);
      await ensureDaemon(stack);
      // Taking a stack clears it.
      const lock = await takeStack(stack);
      await lock.release();
      process.stdout.write(`Stack ${name} is free.\n`);
    });
}
