/**
 * The key of one stack: an ed25519 pair that vexlab makes and the guest is booted with. It never
 * leaves the stack's folder, and neither Pulumi nor a log ever holds more than the public half.
 */
import { randomBytes } from "node:crypto";
import { chmod, link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import writeFileAtomic from "write-file-atomic";
import { ExitCode, LabError } from "../config/errors.ts";
import { makeKeyPair, type KeyPair } from "./ed25519.ts";

export interface StackKey {
  /** One line of OpenSSH's authorized_keys: `ssh-ed25519 AAAA… comment`. */
  readonly publicKey: string;
  /** Absolute; readable by its owner only. */
  readonly privateKeyFile: string;
  /** Where the guest's host key is pinned; the file may not exist yet. */
  readonly knownHostsFile: string;
}

const filesIn = (stackFolder: string) => ({
  privateKeyFile: join(stackFolder, "id_ed25519"),
  publicKeyFile: join(stackFolder, "id_ed25519.pub"),
  knownHostsFile: join(stackFolder, "known_hosts"),
  guestRecordFile: join(stackFolder, "guest.json"),
});

/**
 * The stack's key, made if there is none. Safe to call from several processes at once: all get the
 * same key.
 * @param comment ends the public key's line; shown in the guest's authorized_keys.
 * @throws LabError when there is a key that can't be read.
 */
export async function ensureStackKey(stackFolder: string, comment: string): Promise<StackKey> {
  const { privateKeyFile, publicKeyFile, knownHostsFile } = filesIn(stackFolder);
  await mkdir(stackFolder, { recursive: true });
  // Others may pass through to the disks, where QEMU runs as a user of its own, but list nothing.
  await chmod(stackFolder, 0o711);

  let text = await readIfAny(privateKeyFile);
  let made: KeyPair | undefined;
  if (text === undefined) {
    const partial = `${privateKeyFile}.${randomBytes(6).toString("hex")}.part`;
    made = makeKeyPair(comment);
    try {
      await writeFile(partial, made.privateKey, { mode: 0o600, flag: "wx", flush: true });
      // A hard link under the final name fails when another process was first; then its key counts.
      await link(partial, privateKeyFile);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    } finally {
      await rm(partial, { force: true });
    }
    text = await readFile(privateKeyFile, "utf8");
  }
  // ssh refuses a private key that others can read.
  await chmod(privateKeyFile, 0o600);

  const publicKey =
    made?.privateKey === text ? made.publicKey : await publicHalf(text, privateKeyFile);
  if ((await readIfAny(publicKeyFile))?.trim() !== publicKey) {
    await writeFileAtomic(publicKeyFile, `${publicKey}\n`, { mode: 0o644 });
  }
  return { publicKey, privateKeyFile, knownHostsFile };
}

/** Removes the stack's key and what is known of its guest's host key. Nothing to remove is no error. */
export async function removeStackKey(stackFolder: string): Promise<void> {
  for (const file of Object.values(filesIn(stackFolder))) await rm(file, { force: true });
}

async function publicHalf(privateKey: string, file: string): Promise<string> {
  const { default: ssh2 } = await import("ssh2");
  const key = ssh2.utils.parseKey(privateKey);
  if (key instanceof Error) {
    throw new LabError(
      `${file} is not an OpenSSH private key without a passphrase: ${key.message}`,
      ExitCode.infrastructureFailed,
      "Remove it to have a new key made; guests that were booted with the old one must be made anew.",
      { cause: key },
    );
  }
  return [key.type, key.getPublicSSH().toString("base64"), key.comment].join(" ").trim();
}

async function readIfAny(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
