/** `vexlab up [stack]`: from a fresh clone, or whatever is there, to a running and tested guest. */
import type { Command } from "commander";

export function register(program: Command): void {
  program
    .command("up")
    .argument("[stack]", "the stack to bring up", "dev")
    .description("prepare this host, bring a stack up, run its module's tests")
    .option("--refresh", "compare the state with what libvirt has, first")
    .action(async (name: string, options: { refresh?: boolean }) => {
      const { ensureDaemon, openStack, printResult, runOnStack, testAgain } =
        await import("./stackRun.ts");
      const { ensureStack, isTestStack, takeStack } = await import("../toolchain/stack.ts");
      const stack = await openStack(name);
      await ensureDaemon(stack);
      const lock = await takeStack(stack);
      try {
        await ensureStack(stack);
        let outcome = await runOnStack(stack, [
          ...["up", "--yes", "--skip-preview", "--suppress-outputs", "--suppress-progress"],
          ...(options.refresh || lock.interrupted ? ["--refresh"] : []),
        ]);
        // Nothing changed, so Pulumi ran nothing; but to run the tests is what such a stack is for.
        const untested = outcome.exitCode === 0 && outcome.verdict === undefined;
        if (untested && (await isTestStack(stack))) outcome = await testAgain(stack);
        await printResult(stack, outcome);
        process.exitCode = outcome.exitCode;
      } finally {
        await lock.release();
      }
    });
}
