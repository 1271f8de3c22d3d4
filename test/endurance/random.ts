/** Numbers that a seed decides: the same on every machine. Pure. */
import { createHash } from "node:crypto";

/** A number of at least 0 and below 1 for a text. */
export function fractionOf(text: string): number {
  return createHash("sha256").update(text).digest().readUInt32BE() / 2 ** 32;
}
