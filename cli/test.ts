/** `vexlab test [suite…]`: build, fork a fresh guest, load, run, judge: the edit → verdict loop. */
import { resolve } from "node:path";
import { type Command, Option } from "commander";
import * as z from "zod";
import { allow } from "../lab/config/allowed.ts";
import { cancellable } from "../lab/config/cancellation.ts";
import { verbInput } from "../lab/config/verbInput.ts";
import { terminalProgress } from "../lab/report/progress.ts";
import {
  addEvidenceOptions,
  addRepeatOptions,
  addScopeOptions,
  evidenceKeys,
  repeatKeys,
  repetitionsOf,
  scopeKeys,
  scopeOf,
  scopeOfFlags,
  seedFits,
  stopFits,
  type ScopeFlags,
} from "./runOptions.ts";
import { stackName } from "../lab/config/stackName.ts";
import { printReport, testOnce } from "./testOnce.ts";

/** What `watch` takes. */
export const watchInput = z
  .strictObject({ stack: stackName().default("dev"), ...scopeKeys })
  .refine(seedFits.check, seedFits.fault)
  .refine(stopFits.check, stopFits.fault);

const testInput = z
  .strictObject({
    stack: stackName().default("dev"),
    source: allow("a folder with a vexlab.yaml", z.string().min(1, "is empty")).optional(),
    ...{ ...scopeKeys, ...repeatKeys, ...evidenceKeys },
  })
  .refine(seedFits.check, seedFits.fault)
  .refine(stopFits.check, stopFits.fault);

interface Flags extends ScopeFlags {
  readonly json?: boolean;
  readonly stack: string;
  readonly source?: string;
}

export function register(program: Command): void {
  const command = program
    .command("test")
    .argument("[suites...]", "suites of the manifest; all by default")
    .description(
      "build the module, test it in a fresh guest beside the stack's own, say the verdict",
    )
    .addOption(new Option("--stack <name>", "the stack whose guest is forked").default("dev"))
    .option("--source <folder>", "test another module than the stack's; the stack stays as it is");
  addEvidenceOptions(addRepeatOptions(addScopeOptions(command)))
    .option("--json", "print the report as JSON")
    .action(async (suites: string[], { json, ...flags }: Flags) => {
      const input = verbInput("test", testInput, undefined, scopeOfFlags(flags, suites));
      const { stack, source, jobs, dumpMemory } = input;
      const request = {
        stack,
        jobs,
        dumpMemory,
        ...(source !== undefined && { source: resolve(source) }),
        ...scopeOf(input),
        repetitions: repetitionsOf(input),
      };
      const report = await cancellable((signal) => testOnce(request, terminalProgress(), signal));
      printReport(report, json ?? false);
      process.exitCode = report.exitCode;
    });
}
