/** `vexlab test [suite…]`: build, fork a fresh guest, load, run, judge: the edit → verdict loop. */
import { type Command, Option } from "commander";
import { z } from "zod";
import { allow } from "../lab/config/allowed.ts";
import { cancellable } from "../lab/config/cancellation.ts";
import { verbInput } from "../lab/config/verbInput.ts";
import { terminalProgress } from "../lab/report/progress.ts";
import { printReport, testOnce } from "./testOnce.ts";
import { stackName } from "../lab/config/stackName.ts";

/** What `test` and `watch` take. */
export const testInput = z.strictObject({
  stack: stackName().default("dev"),
  suites: allow("names of suites of the manifest", z.array(z.string())).default([]),
  jobs: allow("a whole number from 1 to 16", z.coerce.number().int().min(1).max(16)).default(1),
});

export function register(program: Command): void {
  program
    .command("test")
    .argument("[suites...]", "suites of the manifest; all by default")
    .description(
      "build the module, test it in a fresh guest beside the stack's own, say the verdict",
    )
    .addOption(new Option("--stack <name>", "the stack whose guest is forked").default("dev"))
    .option("--jobs <number>", "how many suites run at once, each in a guest of its own")
    .option("--json", "print the report as JSON")
    .action(async (suites: string[], { json, ...flags }: { json?: boolean; stack: string }) => {
      const input = verbInput("test", testInput, undefined, { ...flags, suites });
      const report = await cancellable((signal) => testOnce(input, terminalProgress(), signal));
      printReport(report, json ?? false);
      process.exitCode = report.exitCode;
    });
}
