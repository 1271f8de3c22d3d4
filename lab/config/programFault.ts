/**
 * How the Pulumi program tells the command that runs it what its error means: Pulumi flattens every
 * failure of a program to its own exit code, so the program leaves the error's code and text in a
 * file that the command names in `VEXLAB_FAULT_FILE`. Under plain `pulumi` nobody names one.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { ExitCode, LabError } from "./errors.ts";

export const faultFileVariable = "VEXLAB_FAULT_FILE";

const programFault = z.object({ exitCode: z.enum(ExitCode), message: z.string() });
export type ProgramFault = z.infer<typeof programFault>;

/**
 * The file of this process for it, in a folder of such files; those that killed processes have left are
 * removed, also one whose number this process has now.
 */
export async function faultFileIn(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (const name of await readdir(folder)) {
    const pid = /^(\d+)\.json(?:\.events)?$/.exec(name)?.[1];
    if (pid === undefined) continue;
    if (Number(pid) === process.pid || !existsSync(`/proc/${pid}`))
      await rm(join(folder, name), { force: true });
  }
  return join(folder, `${process.pid}.json`);
}

/** Called by the program with the error that ends it. */
export function leaveFault(error: unknown, environment: NodeJS.ProcessEnv = process.env): void {
  const file = environment[faultFileVariable];
  if (!file || !(error instanceof LabError)) return;
  const fault: ProgramFault = { exitCode: error.exitCode, message: error.message };
  writeFileSync(file, JSON.stringify(fault));
}

/** What the program left; undefined when it left nothing. */
export function readFault(file: string): ProgramFault | undefined {
  try {
    return programFault.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    return undefined;
  }
}
