/** `vexlab destroy [stack]`: remove a stack's guest, disks, keys and port. Images stay cached. */
import type { Command } from "commander";
import { ExitCode } from "../lab/config/errors.ts";

export function register(program: Command): void {
  program
    .command("destroy")
    .argument("[stack]", "the stack to remove", "dev")
    .description("remove a stack's guest, disks and keys; cached images stay")
    .action(async (name: string) => {
      const { ensureDaemon, openStack, releaseDaemon, runOnStack } = await import("./stackRun.ts");
      const { clearLeft, stackExists, takeStack } = await import("../toolchain/stack.ts");
      const stack = await openStack(name);
      if (!(await stackExists(stack))) {
        process.stdout.write(`Stack ${name} doesn't exist: nothing to destroy.\n`);
        return;
      }
      await ensureDaemon(stack);
      const lock = await takeStack(stack);
      try {
        const words = ["destroy", "--yes", "--skip-preview"];
        const refreshed = [...words, "--refresh"];
        let outcome = await runOnStack(stack, lock.interrupted ? refreshed : words);
        const failed = outcome.exitCode === ExitCode.infrastructureFailed;
        // A provider that hung has had its second run.
        if (failed && !outcome.killed && !outcome.stalled && !lock.interrupted) {
          // What somebody already removed by hand is no obstacle once Pulumi knows of it.
          stack.progress.line("once more, with a refresh");
          await clearLeft(stack);
          outcome = await runOnStack(stack, refreshed);
        }
        if (outcome.reason) process.stderr.write(`vexlab: ${outcome.reason}\n`);
        process.exitCode = outcome.exitCode;
        // A stack that was empty already had no resource that stops the daemon.
        await releaseDaemon(stack);
      } finally {
        await lock.release();
      }
    });
}
