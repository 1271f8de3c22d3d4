import { createHmac } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  fingerprint,
  hostKeysIn,
  parseHostKey,
  pinHostKeys,
  pinnedHostKeys,
} from "../../../../lab/guest/knownHosts.ts";

const base64 = "AAAAC3NzaC1lZDI1NTE5AAAAIHCabgKMKwh3OKO7imDfbcSkvfUVoMBoqTRrnC1OFBgY";
const line = `ssh-ed25519 ${base64}`;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-known-"));
});
afterEach(() => rm(folder, { recursive: true }));

describe("parseHostKey", () => {
  test("takes a key with and without a comment", () => {
    expect(parseHostKey(line)).toEqual({ type: "ssh-ed25519", base64 });
    expect(parseHostKey(`  ${line} root@guest\r`)).toEqual({ type: "ssh-ed25519", base64 });
  });

  test("refuses every cut of a key and another type's name", () => {
    for (let length = 0; length < line.length; length++) {
      expect(parseHostKey(line.slice(0, length))).toBeUndefined();
    }
    expect(parseHostKey(`ssh-rsa ${base64}`)).toBeUndefined();
  });

  test("never throws", () => {
    fc.assert(
      fc.property(fc.string(), fc.base64String(), (text, key) => {
        parseHostKey(text);
        parseHostKey(`ssh-ed25519 ${key}`);
      }),
    );
  });
});

describe("hostKeysIn", () => {
  test("finds a port's own entry, plain or hashed, and no other", () => {
    const hash = (salt: string, name: string): string =>
      `|1|${salt}|${createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest("base64")}`;
    const text = [
      "# a comment",
      `[127.0.0.1]:2222,[localhost]:2222 ${line}`,
      `${hash("c2FsdHNhbHRzYWx0c2FsdHM=", "[127.0.0.1]:2223")} ${line}`,
      `@revoked [127.0.0.1]:2224 ${line}`,
      "[127.0.0.1]:2225 ssh-ed25519 garbage",
      `127.0.0.1 ${line}`,
    ].join("\n");
    const found = (host: string, port: number): number => hostKeysIn(text, host, port).length;
    expect(found("127.0.0.1", 2222)).toBe(1);
    expect(found("localhost", 2222)).toBe(1);
    expect(found("127.0.0.1", 2223)).toBe(1);
    expect(found("127.0.0.1", 2224)).toBe(0);
    expect(found("127.0.0.1", 2225)).toBe(0);
    expect(found("127.0.0.1", 22)).toBe(1);
    expect(found("127.0.0.1", 222)).toBe(0);
  });
});

test("what is pinned, OpenSSH finds under both names, with the same fingerprint", async () => {
  const file = join(folder, "known_hosts");
  expect(await pinnedHostKeys(file, "127.0.0.1", 2222)).toEqual([]);
  await writeFile(file, `[127.0.0.1]:2222 ${line} old\n`);
  await pinHostKeys(file, 2222, [{ type: "ssh-ed25519", base64 }]);
  expect(await pinnedHostKeys(file, "127.0.0.1", 2222)).toEqual([{ type: "ssh-ed25519", base64 }]);
  for (const host of ["127.0.0.1", "localhost"]) {
    const { stdout } = await execa("ssh-keygen", ["-lF", `[${host}]:2222`, "-f", file]);
    expect(stdout).toContain(fingerprint(Buffer.from(base64, "base64")));
  }
});
