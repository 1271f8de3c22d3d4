import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ensureStackKey, removeStackKey } from "../../../../lab/guest/keys.ts";

let folder: string;
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), "vexlab-keys-")), "stacks", "dev");
});
afterEach(() => rm(join(folder, "../.."), { recursive: true }));

const mode = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

test("OpenSSH reads the key, and nobody else can", async () => {
  const key = await ensureStackKey(folder, "vexlab dev");
  const { stdout } = await execa("ssh-keygen", ["-y", "-f", key.privateKeyFile]);
  expect(key.publicKey).toBe(stdout.trim());
  expect(key.publicKey).toMatch(/^ssh-ed25519 \S+ vexlab dev$/);
  expect(await readFile(`${key.privateKeyFile}.pub`, "utf8")).toBe(`${key.publicKey}\n`);
  expect(await mode(key.privateKeyFile)).toBe(0o600);
  expect(await mode(folder)).toBe(0o711);
});

test("an existing key is kept, also when several ask at once", async () => {
  const keys = await Promise.all([1, 2, 3, 4].map(() => ensureStackKey(folder, "vexlab dev")));
  expect(new Set(keys.map((key) => key.publicKey)).size).toBe(1);
  expect((await ensureStackKey(folder, "other comment")).publicKey).toBe(keys[0]?.publicKey);
});

test("a lost public half is written again", async () => {
  const key = await ensureStackKey(folder, "vexlab dev");
  await rm(`${key.privateKeyFile}.pub`);
  await ensureStackKey(folder, "vexlab dev");
  expect(await readFile(`${key.privateKeyFile}.pub`, "utf8")).toBe(`${key.publicKey}\n`);
});

test("a damaged key is an error that names the file, and stays as it is", async () => {
  const key = await ensureStackKey(folder, "vexlab dev");
  await writeFile(key.privateKeyFile, "damaged\n");
  await expect(ensureStackKey(folder, "x")).rejects.toThrow(key.privateKeyFile);
  expect(await readFile(key.privateKeyFile, "utf8")).toBe("damaged\n");
});

test("removing leaves what is not the key's, and may be repeated", async () => {
  const key = await ensureStackKey(folder, "vexlab dev");
  await writeFile(key.knownHostsFile, "x\n");
  await writeFile(join(folder, "console.log"), "kept\n");
  await removeStackKey(folder);
  await removeStackKey(folder);
  const { stdout } = await execa("ls", ["-A", folder]);
  expect(stdout).toBe("console.log");
});
