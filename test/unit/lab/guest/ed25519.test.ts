import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import fc from "fast-check";
import ssh2 from "ssh2";
import { expect, test } from "vitest";
import { formatKeyPair, makeKeyPair } from "../../../../lab/guest/ed25519.ts";

function parsed(text: string): ssh2.ParsedKey {
  const key = ssh2.utils.parseKey(text);
  if (key instanceof Error) throw key;
  return key;
}

test("what the private half signs, the public half verifies, whatever the comment's length", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[ -~]{0,40}$/), (comment) => {
      const { privateKey, publicKey } = makeKeyPair(comment);
      const signature = parsed(privateKey).sign("text");
      expect(parsed(publicKey).verify("text", signature)).toBe(true);
      expect(parsed(publicKey).verify("other", signature)).toBe(false);
    }),
  );
});

test("OpenSSH reads a key whose public half begins with a zero byte", async () => {
  let raw: Buffer;
  let seed: Buffer;
  do {
    const jwk = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
    raw = Buffer.from(jwk.x ?? "", "base64url");
    seed = Buffer.from(jwk.d ?? "", "base64url");
  } while (raw[0] !== 0);
  const pair = formatKeyPair(seed, raw, "vexlab dev");
  const folder = await mkdtemp(join(tmpdir(), "vexlab-key-"));
  try {
    await writeFile(join(folder, "key"), pair.privateKey, { mode: 0o600 });
    const { stdout } = await execa("ssh-keygen", ["-y", "-f", join(folder, "key")]);
    expect(stdout).toBe(pair.publicKey);
  } finally {
    await rm(folder, { recursive: true });
  }
});
