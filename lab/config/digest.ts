/** Checksums as people publish them: `sha256:<64 hex digits>` and `sha512:<128 hex digits>`. */
export interface Digest {
  readonly algorithm: "sha256" | "sha512";
  /** Lower case. */
  readonly hex: string;
}

/** What a digest may look like, for messages and schemas. */
export const digestForm =
  "sha256: and 64 hexadecimal digits, or sha512: and 128; the word may be left out";

/** A digest as a user or a list writes it; undefined when it is none. */
export function parseDigest(text: string): Digest | undefined {
  const match = /^(?:(sha256|sha512):)?([0-9a-f]+)$/i.exec(text.trim());
  const hex = match?.[2]?.toLowerCase() ?? "";
  const algorithm = hex.length === 64 ? "sha256" : hex.length === 128 ? "sha512" : undefined;
  const named = match?.[1]?.toLowerCase();
  if (algorithm === undefined || (named !== undefined && named !== algorithm)) return undefined;
  return { algorithm, hex };
}

export const digestText = ({ algorithm, hex }: Digest): string => `${algorithm}:${hex}`;

/**
 * The sum of a file in a published list, whose lines are "<hex>  <name>" or "<hex> *<name>" as
 * sha256sum(1) prints them; undefined when the list doesn't name the file, or names it twice with
 * different sums.
 */
export function digestInList(list: string, fileName: string): Digest | undefined {
  const found = new Map<string, Digest>();
  for (const line of list.split("\n")) {
    const match = /^([0-9a-f]+) [ *](.+?)\r?$/i.exec(line);
    const digest = match?.[2] === fileName ? parseDigest(match[1] ?? "") : undefined;
    if (digest !== undefined) found.set(digest.hex, digest);
  }
  return found.size === 1 ? [...found.values()][0] : undefined;
}
