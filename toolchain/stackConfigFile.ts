/**
 * Keeps Pulumi from changing the tracked files `stacks/Pulumi.<stack>.yaml`: it writes the salt of
 * the passphrase there (`encryptionsalt:`), which is in the state as well and differs between
 * checkouts. The file's former bytes come back when nothing else changed and nothing in it is
 * encrypted.
 */
import { readFile, rm } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import writeFileAtomic from "write-file-atomic";
import { parse } from "yaml";

/** The file's content; undefined when there is none. */
export async function readStackFile(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function holdsSecret(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(holdsSecret);
  if (!isMapping(value)) return false;
  return "secure" in value || Object.values(value).some(holdsSecret);
}

/** The file's content as data, without the salt; undefined when it isn't a YAML mapping. */
function withoutSalt(text: string | undefined): Record<string, unknown> | undefined {
  try {
    const content: unknown = parse(text ?? "") ?? {};
    if (!isMapping(content)) return undefined;
    const kept = Object.entries(content).filter(([key]) => key !== "encryptionsalt");
    return Object.fromEntries(kept);
  } catch {
    return undefined;
  }
}

/** Whether Pulumi added nothing but a salt that protects nothing. */
export function onlySaltAdded(before: string | undefined, after: string): boolean {
  if (before === after) return false;
  const former = withoutSalt(before);
  const now = withoutSalt(after);
  if (!former || !now || holdsSecret(now)) return false;
  return isDeepStrictEqual(former, now);
}

/** Gives the file back its former content (or absence) where only the salt is new. */
export async function restoreStackFile(file: string, before: string | undefined): Promise<void> {
  const after = await readStackFile(file);
  if (after === undefined || !onlySaltAdded(before, after)) return;
  if (before === undefined) await rm(file);
  else await writeFileAtomic(file, before);
}
