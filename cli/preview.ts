/** `vexlab preview [stack]`: what `up` would change. Changes nothing. */
import type { Command } from "commander";

export function register(program: Command): void {
  program
    .command("preview")
    .argument("[stack]", "the stack to look at", "dev")
    .description("show what `up` would change")
    .option("--refresh", "compare the state with what libvirt has, first")
    .option("--diff", "show each changed property")
    .action(async (name: string, options: { refresh?: boolean; diff?: boolean }) => {
      const { ensureDaemon, openStack, runOnStack } = await import("./stackRun.ts");
      const { ensureStack } = await import("../toolchain/stack.ts");
      const stack = await openStack(name);
      if (options.refresh) await ensureDaemon(stack);
      await ensureStack(stack);
      const outcome = await runOnStack(stack, [
        ...["preview", "--suppress-progress"],
        ...(options.refresh ? ["--refresh"] : []),
        ...(options.diff ? ["--diff"] : []),
      ]);
      if (outcome.reason) process.stderr.write(`vexlab: ${outcome.reason}\n`);
      process.exitCode = outcome.exitCode;
    });
}
