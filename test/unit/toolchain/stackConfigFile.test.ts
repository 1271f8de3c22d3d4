import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readStackFile, restoreStackFile } from "../../../toolchain/stackConfigFile.ts";

const salt = "encryptionsalt: v1:abc=:v1:def:ghi==\n";
const before = "# the developer's own\nconfig:\n  vexlab:memory: 4G # enough\n";

let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-stack-"));
  file = join(folder, "Pulumi.dev.yaml");
});

afterEach(async () => rm(folder, { recursive: true }));

/** What is left of a file after Pulumi wrote `after` over `former`. */
async function left(former: string | undefined, after: string): Promise<string | undefined> {
  await writeFile(file, after);
  await restoreStackFile(file, former);
  return readStackFile(file);
}

describe("a stack's file", () => {
  it("gets its bytes back when only the salt is new", async () => {
    expect(await left(before, `${salt}${before}`)).toBe(before);
  });

  it("gets its bytes back when Pulumi wrote the same in another layout", async () => {
    expect(await left(before, `${salt}config:\n    vexlab:memory: "4G"\n`)).toBe(before);
  });

  it("goes when only a salt made it", async () => {
    expect(await left(undefined, salt)).toBeUndefined();
  });

  it("gets a changed salt's former line back", async () => {
    const former = `encryptionsalt: v1:old\n${before}`;
    expect(await left(former, `${salt}${before}`)).toBe(former);
  });

  it.each([
    ["a value changed", `${salt}config:\n  vexlab:memory: 8G\n`],
    ["a value is new", `${salt}${before}  vexlab:cpus: 2\n`],
    ["it isn't YAML", `${salt}config: [\n`],
  ])("is left alone when %s", async (_, after) => {
    expect(await left(before, after)).toBe(after);
  });

  it("keeps the salt that a secret needs", async () => {
    const secret = `config:\n  vexlab:token:\n    secure: v1:xyz\n`;
    expect(await left(secret, `${salt}${secret}`)).toBe(`${salt}${secret}`);
  });

  it("is not written when nothing changed", async () => {
    await writeFile(file, before);
    await restoreStackFile(file, before);
    expect(await readFile(file, "utf8")).toBe(before);
    await rm(file);
    await restoreStackFile(file, before);
    expect(await readStackFile(file)).toBeUndefined();
  });
});
