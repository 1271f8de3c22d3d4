/**
 * The host keys of guests in OpenSSH's known_hosts format (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"),
 * so that the user's own `ssh -o UserKnownHostsFile=…` trusts exactly what vexlab trusts.
 */
import { createHash, createHmac } from "node:crypto";
import { readFile } from "node:fs/promises";
import writeFileAtomic from "write-file-atomic";

export interface HostKey {
  /** Such as `ssh-ed25519`. */
  readonly type: string;
  /** Base64 of the key's wire form. */
  readonly base64: string;
}

/** `ssh-ed25519 AAAA…` with or without a comment; undefined when the text is no such key. */
export function parseHostKey(text: string): HostKey | undefined {
  const match = /^(\S+)\s+([A-Za-z0-9+/]+={0,2})(?:\s|$)/.exec(text.trim());
  const type = match?.[1];
  const base64 = match?.[2];
  if (type === undefined || base64 === undefined) return undefined;
  // The wire form begins with its own type (RFC 4253, 6.6): a cut or garbled line shows here.
  const wire = Buffer.from(base64, "base64");
  if (wire.length < 4 || wire.length < 4 + wire.readUInt32BE(0)) return undefined;
  const named = wire.subarray(4, 4 + wire.readUInt32BE(0)).toString("latin1");
  if (named !== type) return undefined;
  // An ed25519 key has 32 bytes after its own length (RFC 8709, 4).
  if (type === "ssh-ed25519" && wire.length !== 4 + 11 + 4 + 32) return undefined;
  return { type, base64 };
}

/** The fingerprint as OpenSSH prints it: `SHA256:` and unpadded base64. */
export function fingerprint(wire: Buffer): string {
  return `SHA256:${createHash("sha256").update(wire).digest("base64").replace(/=+$/, "")}`;
}

/** How known_hosts names a host: bare on port 22, else `[host]:port`. */
export function knownHostName(host: string, port: number): string {
  return port === 22 ? host : `[${host}]:${port}`;
}

/** The keys that a known_hosts text holds for a host; lines that are no entries are passed over. */
export function hostKeysIn(text: string, host: string, port: number): HostKey[] {
  const name = knownHostName(host, port);
  return text.split(/\r?\n/).flatMap((line) => {
    const match = /^([^#@\s]\S*)\s+(\S.*)$/.exec(line.trim());
    const names = match?.[1]?.split(",") ?? [];
    if (!names.some((pattern) => pattern === name || isHashOf(pattern, name))) return [];
    const key = parseHostKey(match?.[2] ?? "");
    return key === undefined ? [] : [key];
  });
}

/** The pinned keys of a guest; none when the file doesn't exist. */
export async function pinnedHostKeys(file: string, host: string, port: number): Promise<HostKey[]> {
  try {
    return hostKeysIn(await readFile(file, "utf8"), host, port);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/**
 * Makes these keys the only ones known of the guest. The file belongs to one stack, so it is
 * replaced as a whole. `localhost` is named too: people type it.
 */
export async function pinHostKeys(
  file: string,
  port: number,
  keys: readonly HostKey[],
): Promise<void> {
  const names = ["127.0.0.1", "localhost"].map((host) => knownHostName(host, port)).join(",");
  const text = keys.map((key) => `${names} ${key.type} ${key.base64}\n`).join("");
  await writeFileAtomic(file, text, { mode: 0o600 });
}

// HashKnownHosts: `|1|salt|HMAC-SHA1(salt, name)`, both in base64.
function isHashOf(pattern: string, name: string): boolean {
  const [, version, salt, hash] = pattern.split("|");
  if (version !== "1" || salt === undefined || hash === undefined) return false;
  return createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest("base64") === hash;
}
