import { open } from "node:fs/promises";
import writeFileAtomic from "write-file-atomic";
import { cannotWrite } from "../config/diskSpace.ts";

/**
 * Writes a file that others read, all of it or nothing.
 * @throws LabError, naming the file; there is then none, or the former one
 */
export async function writeWhole(file: string, text: string): Promise<void> {
  try {
    await writeFileAtomic(file, text);
  } catch (error) {
    throw await cannotWrite(file, error);
  }
}

/** Has a file that another program wrote on the disk, before it gets its final name (fsync(2)). */
export async function writeThrough(file: string): Promise<void> {
  const handle = await open(file, "r+");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
