/**
 * Where a run leaves its results on the host: one folder a run, one log a run, and `latest`.
 *
 *     test_results/test_log_<timestamp>.txt
 *     test_results/<timestamp>-<stack>/{result.json,junit.xml,console.log,log.txt -> the log}
 *     test_results/latest -> the newest run's folder
 */
import { randomBytes } from "node:crypto";
import {
  mkdir,
  open,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  type FileHandle,
} from "node:fs/promises";
import { basename, join, relative } from "node:path";
import { ExitCode, LabError } from "../config/errors.ts";

export interface RunFiles {
  /** Unique among the runs of this results folder: `<timestamp>-<stack>`. */
  readonly runId: string;
  readonly folder: string;
  readonly log: string;
  readonly junit: string;
  readonly json: string;
  readonly console: string;
  /** The log, open for writing. */
  readonly logHandle: FileHandle;
}

/** `20261122-163512-345`: UTC, sorts by time, fit for file names. */
export function timestampName(at: Date): string {
  const [day = "", time = ""] = at.toISOString().split("T");
  return `${day.replaceAll("-", "")}-${time.replace("Z", "").replaceAll(/[:.]/g, (c) => (c === "." ? "-" : ""))}`;
}

/**
 * Takes new names for a run. Two runs that start in the same millisecond get different ones, since
 * the log's name is claimed by creating it.
 * @throws LabError when the folder can't be written.
 */
export async function claimRunFiles(
  results: string,
  stack: string,
  startedAt: Date,
): Promise<RunFiles> {
  const timestamp = timestampName(startedAt);
  try {
    await mkdir(results, { recursive: true });
    for (let attempt = 1; ; attempt++) {
      // "_" sorts after "-", so a second run of a millisecond counts as newer than the first.
      const unique = attempt === 1 ? timestamp : `${timestamp}_${attempt}`;
      const log = join(results, `test_log_${unique}.txt`);
      const logHandle = await openNew(log);
      if (logHandle === undefined) continue;
      const runId = `${unique}-${stack}`;
      const folder = join(results, runId);
      await mkdir(folder);
      await symlink(relative(folder, log), join(folder, "log.txt"));
      return {
        runId,
        folder,
        log,
        junit: join(folder, "junit.xml"),
        json: join(folder, "result.json"),
        console: join(folder, "console.log"),
        logHandle,
      };
    }
  } catch (error) {
    throw new LabError(
      `the results can't be written to ${results}: ${(error as Error).message}`,
      ExitCode.infrastructureFailed,
      "Free space or set VEXLAB_RESULTS_DIR to a folder that you may write to.",
      { cause: error },
    );
  }
}

/**
 * Points `latest` to a run's folder, in one step. A run that started later keeps it.
 * @throws LabError when `latest` is not a link of ours.
 */
export async function pointLatest(results: string, runId: string): Promise<void> {
  const latest = join(results, "latest");
  const current = await readlink(latest).catch(() => undefined);
  if (current !== undefined && basename(current) > runId) {
    const alive = await stat(join(results, current)).then(
      () => true,
      () => false,
    );
    if (alive) return;
  }
  const fresh = `${latest}.${randomBytes(6).toString("hex")}`;
  await symlink(runId, fresh);
  try {
    await rename(fresh, latest);
  } catch (error) {
    await rm(fresh, { force: true });
    throw new LabError(
      `${latest} is not a link that vexlab can replace: ${(error as Error).message}`,
      ExitCode.infrastructureFailed,
      `Move ${latest} away; the run's results are in ${join(results, runId)}.`,
      { cause: error },
    );
  }
}

/** Removes a run's results. */
export async function forgetRun(results: string, runId: string, log: string): Promise<void> {
  await rm(join(results, runId), { recursive: true, force: true });
  await rm(log, { force: true });
}

async function openNew(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file, "wx");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return undefined;
    throw error;
  }
}
