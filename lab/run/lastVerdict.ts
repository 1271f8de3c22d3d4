/**
 * The last verdict of a stack, `<stack folder>/last-verdict.json`: what `npm run up` exits with
 * after Pulumi has flattened the verb's exit code to its own.
 */
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import writeFileAtomic from "write-file-atomic";
import * as z from "zod";
import { ExitCode, LabError } from "../config/errors.ts";
import type { VerdictKind } from "./verdict.ts";

const verdictKinds = [
  "passed",
  "failed",
  "build-failed",
  "load-failed",
  "crashed",
  "hung",
  "infrastructure-failed",
  "cancelled",
] as const satisfies readonly VerdictKind[];

const lastVerdictSchema = z.object({
  /** The run's name: the folder in test_results, or another unique text where nothing was run. */
  runId: z.string(),
  verdict: z.enum(verdictKinds),
  exitCode: z.enum(ExitCode),
  reason: z.string(),
  /** When the verdict was reached: ISO 8601, UTC. */
  at: z.string(),
});

export type LastVerdict = z.infer<typeof lastVerdictSchema>;

const fileIn = (stackFolder: string): string => join(stackFolder, "last-verdict.json");

/** Replaces the stack's last verdict in one step; a reader sees the old one or the new one. */
export async function writeLastVerdict(stackFolder: string, verdict: LastVerdict): Promise<void> {
  await mkdir(stackFolder, { recursive: true });
  await writeFileAtomic(fileIn(stackFolder), `${JSON.stringify(verdict, null, 2)}\n`);
}

/**
 * The stack's last verdict; undefined when there is none.
 * @throws LabError when the file exists and isn't a verdict.
 */
export async function readLastVerdict(stackFolder: string): Promise<LastVerdict | undefined> {
  const file = fileIn(stackFolder);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return lastVerdictSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new LabError(
      `${file} is not a verdict of vexlab`,
      ExitCode.infrastructureFailed,
      "Remove the file and run the tests again.",
      { cause: error },
    );
  }
}

/** Removes the last verdict: a run begins, and what came before says nothing about it. */
export async function forgetLastVerdict(stackFolder: string): Promise<void> {
  await rm(fileIn(stackFolder), { force: true });
}
