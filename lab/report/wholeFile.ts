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
