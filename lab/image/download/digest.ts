import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import type { Digest } from "../../config/digest.ts";

/** The digest of a file's content. */
export async function digestOf(
  file: string,
  algorithm: Digest["algorithm"],
  signal?: AbortSignal,
): Promise<Digest> {
  const hash = createHash(algorithm);
  await pipeline(createReadStream(file), hash, ...(signal === undefined ? [] : [{ signal }]));
  return { algorithm, hex: hash.digest("hex") };
}
