import { createHash } from "node:crypto";
import { open } from "node:fs/promises";

/** Bytes that are read at a time. */
const chunkBytes = 256 * 1024;

/** sha256 (hex) of a file's content. */
export async function hashFile(file: string): Promise<string> {
  const hash = createHash("sha256");
  const opened = await open(file);
  try {
    // Not a stream: making one costs more than reading a source file.
    const buffer = Buffer.allocUnsafe(chunkBytes);
    for (;;) {
      const { bytesRead } = await opened.read(buffer, 0, chunkBytes, null);
      if (bytesRead === 0) return hash.digest("hex");
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await opened.close();
  }
}
