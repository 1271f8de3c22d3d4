import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { crashReports } from "../../../../lab/console/crashParser.ts";
import { decodeCrashes } from "../../../../lab/run/decodeCrashes.ts";
import { moduleFile } from "../build/moduleFile.ts";

const reports = crashReports("[ 1.0] WARNING: CPU: 0 PID: 1 at /x.c:1 write+0x1/0x2 [hello]\n");
let folder: string;
let log: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-decode-"));
  log = [];
});
afterEach(() => rm(folder, { recursive: true }));

const decode = (modules: Record<string, string>): ReturnType<typeof decodeCrashes> =>
  decodeCrashes(
    reports,
    { folder, sysroot: join(folder, "none"), modules: new Map(Object.entries(modules)) },
    { write: (text) => log.push(text) },
  );

it("says that a module has no debug information", async () => {
  const file = join(folder, "hello.ko");
  await writeFile(file, moduleFile("license=GPL\0"));
  expect(await decode({ hello: file })).toEqual(reports);
  expect(log).toEqual(["no source lines of module hello: it was built without debug information"]);
});

it("says that a module's file is gone", async () => {
  expect(await decode({ hello: join(folder, "hello.ko") })).toEqual(reports);
  expect(log.join()).toMatch(/^no source lines of module hello: ENOENT/);
});

it("has nothing to say of modules that are not in a trace", async () => {
  expect(await decode({ other: join(folder, "other.ko") })).toEqual(reports);
  expect(log).toEqual([]);
});
