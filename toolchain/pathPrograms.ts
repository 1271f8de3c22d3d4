/** Programs that the user already has on PATH. */
import { constants } from "node:fs";
import { access, realpath, stat } from "node:fs/promises";
import { delimiter, isAbsolute, join } from "node:path";
import { execa } from "execa";
import type { PathSource } from "./pins.ts";

/** The numbers of a version such as "v3.187.0" or "3.190.0-alpha.1"; undefined for anything else. */
export function versionNumbers(text: string): readonly number[] | undefined {
  const match = /^v?(\d+)\.(\d+)\.(\d+)(?:[-+].*)?$/.exec(text.trim());
  return match?.slice(1, 4).map(Number);
}

function isBefore(a: readonly number[], b: readonly number[]): boolean {
  const index = a.findIndex((number, at) => number !== b[at]);
  return index >= 0 && (a[index] ?? 0) < (b[index] ?? 0);
}

/** Whether a version is one that the source takes. */
export function fits(source: PathSource, version: string): boolean {
  const found = versionNumbers(version);
  const from = versionNumbers(source.from);
  const below = versionNumbers(source.below);
  if (!found || !from || !below) return false;
  return !isBefore(found, from) && isBefore(found, below);
}

async function isProgram(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}

/** The folder on PATH that comes first for a program; folders below `except` don't count. */
async function folderOf(
  program: string,
  path: string,
  except: string,
): Promise<string | undefined> {
  for (const folder of path.split(delimiter)) {
    if (!isAbsolute(folder) || !(await isProgram(join(folder, program)))) continue;
    if (!(await realpath(folder)).startsWith(except)) return folder;
  }
  return undefined;
}

/**
 * Looks for the programs of a tool.
 *
 * @param except vexlab's own toolchains, which `vexlab env` puts on PATH
 * @param home a PULUMI_HOME that the asked program may write to
 * @returns the folder of each program, or why they are not taken
 */
export async function programsOnPath(
  source: PathSource,
  programs: readonly string[],
  except: string,
  home: string,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<{ found: Readonly<Record<string, string>> } | { problem: string }> {
  const found: Record<string, string> = {};
  for (const program of programs) {
    const folder = await folderOf(program, environment["PATH"] ?? "", except);
    if (!folder) return { problem: `${program} is not on PATH` };
    found[program] = join(folder, program);
  }
  const [first] = programs;
  const asked = await execa(found[first ?? ""] ?? "", ["version"], {
    env: { ...environment, PULUMI_HOME: home, PULUMI_SKIP_UPDATE_CHECK: "true" },
    extendEnv: false,
    reject: false,
    timeout: 10_000,
  });
  const version = asked.stdout.trim();
  if (fits(source, version)) return { found };
  return {
    problem: `${first ?? ""} on PATH is ${version || "silent about its version"}; ${source.from} or newer, below ${source.below}, is taken`,
  };
}
