/**
 * The schema of result.json, with words for each field. docs/result.schema.json is made of it, and
 * docs/verdicts.md explains the kinds of verdicts.
 */
import * as z from "zod";
import { kernelPackageSchema } from "../image/kernelPackage.ts";
import { crashKinds } from "../console/crashReport.ts";
import { ExitCode } from "../config/errors.ts";
import { largestSeed } from "../run/order.ts";
import { reportFormat } from "./json.ts";

const strings = (description: string) => z.array(z.string()).describe(description);
const milliseconds = z.int().nonnegative();
const seed = z.int().min(0).max(largestSeed);
const verdict = z.enum([
  ...(["passed", "failed", "build-failed", "load-failed", "crashed", "hung"] as const),
  ...(["infrastructure-failed", "cancelled"] as const),
]);

const measure = z.strictObject({
  name: z.string(),
  value: z.number(),
  unit: z.string().describe("as the suite wrote it, such as MB/s"),
});

const testCase = z.strictObject({
  suite: z.string(),
  name: z.string().describe("description on the result line; subtests joined by ' / '"),
  outcome: z.enum(["passed", "failed", "skipped", "timedOut"]),
  milliseconds: milliseconds.describe("since the previous result line, or the suite's start"),
  diagnostics: strings("at most the last 200 lines; the log has all"),
  directive: z.string().optional().describe("such as 'SKIP no device'; absent when there is none"),
  tags: strings("what the suite said of the case; absent when nothing").optional(),
  measures: z.array(measure).optional().describe("numbers that the case measured"),
});

const suite = z.strictObject({
  name: z.string(),
  cases: z.array(testCase),
  ending: z
    .enum([
      ...(["exited", "stopped", "caseTimeout", "suiteTimeout", "crashed"] as const),
      ...(["connectionLost", "cancelled", "notRun"] as const),
    ])
    .describe("how the suite's program ended"),
  exitCode: z.int().nullable().describe("of the suite's program; null when it was killed"),
  milliseconds,
  problems: strings("what is wrong with the suite as a whole"),
  tail: strings("its last lines that were not KTAP"),
  notSelected: z
    .int()
    .nonnegative()
    .optional()
    .describe("cases that were not asked for: neither passed nor failed nor skipped"),
  underWay: z.string().optional().describe("the case during which the suite was ended, if known"),
});

const frame = z.strictObject({
  text: z.string().describe("the line as the kernel printed it"),
  function: z.string().describe("without what the compiler adds, such as .cold"),
  symbol: z.string(),
  offset: z.int().nonnegative().describe("bytes from the symbol's beginning"),
  module: z.string().optional(),
  instruction: z.boolean().describe("what was executed; of others, the call is before it"),
  reliable: z.boolean().describe("false for an address that merely lay on the stack"),
  source: z.string().optional().describe("file:line, where debug information tells"),
});

const crash = z.strictObject({
  kind: z.enum(crashKinds),
  cause: z.string().describe("within the kind, such as 'null pointer dereference'"),
  title: z.string().describe("the same each time the same bug strikes"),
  function: z.string().optional().describe("at fault"),
  module: z.string().optional().describe("that it is in or, of the kernel's own, that called it"),
  panic: z.string().optional().describe("the reason of the panic in which it ended"),
  time: z.number().nonnegative().optional().describe("seconds since the boot"),
  lines: strings("the whole report"),
  frames: z.array(frame),
  during: z.string().describe("what the run was doing"),
  suite: z.string().optional().describe("that ran; absent when none did"),
  case: z.string().optional().describe("that ran, as far as the suite and the clocks tell"),
});

const retry = z.strictObject({
  reason: z.string().describe("how the infrastructure failed"),
  suites: strings("that ran in another guest, once more or for the first time"),
});

const hang = z.strictObject({
  title: z.string().describe("what is most likely to blame"),
  asked: z
    .enum(["session", "keyboard"])
    .describe("how the kernel was asked: by a command, or by SysRq on the guest's keyboard"),
  lines: strings("tasks that wait, what processors execute, free memory; the log has all"),
  frames: z.array(frame),
  during: z.string().describe("what the run was doing"),
  suite: z.string().optional().describe("that ran; absent when none did"),
  case: z.string().optional().describe("that ran, as far as the suite says"),
});

export const resultSchema = z
  .strictObject({
    format: z.literal(reportFormat).describe("grows when a field goes or changes its meaning"),
    runId: z.string().describe("the run's name, <timestamp>-<stack>"),
    stack: z.string(),
    kernelRelease: z
      .string()
      .describe("uname -r of the guest; the build's when the guest was not reached"),
    kernelPackage: kernelPackageSchema
      .optional()
      .describe("where the image's kernel is from; absent for one that is no package"),
    imageId: z.string().describe("image that the module was built for"),
    sourceHash: z.string().describe("sha256 of the very sources that were built"),
    artefactHash: z.string().describe("sha256 over what the build made"),
    verdict,
    exitCode: z.enum(ExitCode),
    reason: z.string().describe("one line that names the suite and the case"),
    suites: z.array(suite).describe("in the order in which they were to run"),
    moduleProblems: strings("modules that could not be unloaded"),
    crashes: z.array(crash).describe("of the guest's kernel, the first of each title"),
    hangs: z.array(hang).optional().describe("what the kernel did when something hung"),
    dumps: z
      .array(
        z.strictObject({
          file: z.string(),
          bytes: z.int().nonnegative().describe("on the disk"),
          open: z.string().describe("the command that opens it"),
        }),
      )
      .optional()
      .describe("the memory of guests that crashed or hung, as ELF core files"),
    retried: z
      .array(retry)
      .optional()
      .describe("failures of the infrastructure after which another guest was taken"),
    selection: z
      .strictObject({
        suites: strings("patterns of names"),
        cases: strings("patterns of names"),
        tags: strings("a case has to have one of them"),
      })
      .optional()
      .describe("what was asked for; absent for all"),
    seed: seed
      .optional()
      .describe("decided the order of suites and cases; absent for the manifest's"),
    repetition: z
      .strictObject({ number: z.int().min(1), most: z.int().min(1) })
      .optional()
      .describe("which of several runs of the same this is"),
    repetitions: z
      .array(
        z.strictObject({
          number: z.int().min(1),
          verdict,
          seconds: z.number().nonnegative(),
          seed: seed.optional(),
          runId: z.string().optional().describe("absent when its results were not kept"),
        }),
      )
      .optional()
      .describe("all of these runs, in the report of the gravest"),
    startedAt: z.iso.datetime().describe("ISO 8601, UTC"),
    seconds: z.number().nonnegative().describe("of the run, including a boot if one was needed"),
    phases: z
      .array(z.strictObject({ name: z.string(), milliseconds }))
      .optional()
      .describe("how long its parts took; parts side by side overlap"),
    files: z
      .strictObject({ log: z.string(), junit: z.string(), json: z.string() })
      .describe("absolute paths"),
  })
  .describe("result.json of a test run by vexlab");

/** The published JSON schema (draft 2020-12). */
export function resultJsonSchema(): Record<string, unknown> {
  return { title: "vexlab test result", ...z.toJSONSchema(resultSchema) };
}
