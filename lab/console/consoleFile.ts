/** The file of a console, which may not be there: before a guest's start, and for a moment when it is full. */
import type { Stats } from "node:fs";
import { open, stat, type FileHandle } from "node:fs/promises";

export const statIfAny = (file: string): Promise<Stats | undefined> => ifAny(stat(file));

export const openIfAny = (file: string): Promise<FileHandle | undefined> => ifAny(open(file, "r"));

async function ifAny<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
