/** What is known of a stack's guest since it was last seen ready: `<stack folder>/guest.json`. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import writeFileAtomic from "write-file-atomic";
import * as z from "zod";
import { ExitCode, LabError } from "../config/errors.ts";

const recordSchema = z.object({
  /** libvirt's UUID or name of the domain, as the caller gave it. */
  domain: z.string(),
  libvirtUri: z.string(),
  sshPort: z.number(),
  user: z.string(),
  /** `ssh-ed25519 AAAA…` as the guest announced it on its console; empty: it is about to have another. */
  hostKey: z.string(),
});

export type GuestRecord = z.infer<typeof recordSchema>;

export const guestRecordFile = (stackFolder: string): string => join(stackFolder, "guest.json");

/** The record; undefined when the stack's guest has never been ready. */
export async function readGuestRecord(stackFolder: string): Promise<GuestRecord | undefined> {
  const file = guestRecordFile(stackFolder);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return recordSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new LabError(
      `${file} is damaged`,
      ExitCode.infrastructureFailed,
      "Remove it: the next `vexlab vm wait` writes it anew.",
      { cause },
    );
  }
}

export async function writeGuestRecord(stackFolder: string, record: GuestRecord): Promise<void> {
  await writeFileAtomic(guestRecordFile(stackFolder), `${JSON.stringify(record, null, 2)}\n`, {
    mode: 0o600,
  });
}

/** Notes that the guest is made anew, with a host key that nobody has seen yet. */
export async function forgetHostKey(stackFolder: string): Promise<void> {
  const record = await readGuestRecord(stackFolder);
  if (record) await writeGuestRecord(stackFolder, { ...record, hostKey: "" });
}
