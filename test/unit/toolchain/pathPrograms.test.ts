import { chmod, mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fits, programsOnPath } from "../../../toolchain/pathPrograms.ts";
import type { PathSource } from "../../../toolchain/pins.ts";

const source: PathSource = { kind: "path", from: "3.187.0", below: "4.0.0" };
const programs = ["pulumi", "pulumi-language-nodejs"];

let folder: string;

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "vexlab-path-")));
});

afterEach(async () => rm(folder, { recursive: true }));

async function install(where: string, version: string, names = programs): Promise<void> {
  await mkdir(join(folder, where), { recursive: true });
  for (const name of names) {
    await writeFile(join(folder, where, name), `#!/bin/sh\necho ${version} $PULUMI_HOME\n`);
    await chmod(join(folder, where, name), 0o755);
  }
}

const look = (...folders: string[]) =>
  programsOnPath(source, programs, join(folder, "cache"), "", {
    PATH: [...folders.map((name) => join(folder, name)), "/usr/bin", "/bin"].join(":"),
  });

describe("programs on PATH", () => {
  it("are taken when the version fits", async () => {
    await install("user", "v3.190.1");
    expect(await look("user")).toEqual({
      found: Object.fromEntries(programs.map((name) => [name, join(folder, "user", name)])),
    });
  });

  it("are not taken when they are too old, with the version told", async () => {
    await install("user", "v3.100.0");
    expect(await look("user")).toMatchObject({
      problem: expect.stringContaining("v3.100.0") as string,
    });
  });

  it("are not taken when one is missing", async () => {
    await install("user", "v3.190.1", ["pulumi"]);
    expect(await look("user")).toEqual({ problem: "pulumi-language-nodejs is not on PATH" });
  });

  it("are not vexlab's own, which a prepared shell has on PATH", async () => {
    await install("cache/toolchain/bin", "v3.187.0");
    expect(await look("cache/toolchain/bin")).toMatchObject({ problem: "pulumi is not on PATH" });
  });
});

it.each([
  ["v3.187.0", true],
  ["3.186.9", false],
  ["v3.200.0-alpha.1", true],
  ["v3.999.0", true],
  ["v4.0.0", false],
  ["dev", false],
  ["", false],
])("takes %j: %s", (version, taken) => {
  expect(fits(source, version)).toBe(taken);
});
