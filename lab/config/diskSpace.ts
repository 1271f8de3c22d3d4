/** What a full disk is told with. */
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { ExitCode, LabError } from "./errors.ts";

/** Whether an error of the system says that a disk is full, or what its user may have of it. */
export function isDiskFull(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT"].includes((error as NodeJS.ErrnoException | null)?.code ?? "");
}

/** Whether a program's output says so, in the words of strerror(3). */
export function saysDiskFull(output: string): boolean {
  return /[:'] ?(?:No space left on device|Disk quota exceeded)'?$/m.test(output);
}

/** Bytes that a user may still write where a file or folder is. @throws Error when there is none */
export async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

/** How much a user may still write where a file or folder is or would be, for a person. */
export async function freeSpace(path: string): Promise<string> {
  try {
    return `${await freeBytes(path)} bytes`;
  } catch (error) {
    const absent = ["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "");
    return absent && path !== dirname(path) ? freeSpace(dirname(path)) : "unknown space";
  }
}

/** The error of a file or folder that could not be written: where, why, and how much space is left. */
export async function cannotWrite(path: string, error: unknown): Promise<LabError> {
  const why = error instanceof Error ? error.message : String(error);
  return new LabError(
    `${path} can't be written: ${why}; ${await freeSpace(path)} are left there`,
    ExitCode.infrastructureFailed,
    "Free space: npm run vexlab -- warm prune, npm run vexlab -- image prune.",
    { cause: error },
  );
}
