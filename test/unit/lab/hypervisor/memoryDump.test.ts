/** Dumps, with a virsh of the test's own on PATH in the place of libvirt. */
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { dumpMemory } from "../../../../lab/hypervisor/memoryDump.ts";
import { coreHeaders, qemuCore } from "./core.ts";

let folder: string;
let core: string;
const path = process.env["PATH"];
const mebibyte = 2 ** 20;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-dump-"));
  core = join(folder, "memory-1.core");
  process.env["PATH"] = `${folder}:${path ?? ""}`;
});
afterEach(async () => {
  process.env["PATH"] = path;
  await rm(folder, { recursive: true });
});

/** A libvirt that writes a core with 8 MiB of zeros behind it, and then does this. */
async function libvirt(then: string, memory = 8 * mebibyte): Promise<void> {
  const file = join(folder, "virsh");
  await writeFile(join(folder, "core"), qemuCore());
  await writeFile(
    file,
    `#!/bin/sh
printf '%s\\n' "$*" >>${folder}/calls
for last; do :; done
case $* in
*"query-memory-size-summary"*) echo '{"return":{"base-memory":${memory}}}' ;;
*" dump "*) { cat ${folder}/core; head -c ${8 * mebibyte} /dev/zero; } >"$last"; ${then} ;;
esac
`,
  );
  await chmod(file, 0o755);
}

const left = async (): Promise<string[]> =>
  (await readdir(folder)).filter((name) => name.startsWith("memory"));

describe("a dump of a guest's memory", () => {
  test("has its name when it is whole, for its owner only, and no room for zeros", async () => {
    await libvirt("chmod 400 $last");
    const bytes = await dumpMemory("test:///", "dev", core, 10_000);
    expect(await left()).toEqual(["memory-1.core"]);
    const { size, mode, blocks } = await stat(core);
    expect(size).toBeGreaterThan(8 * mebibyte);
    expect((await readFile(core)).readUInt16LE(56)).toBeGreaterThan(coreHeaders);
    expect(mode & 0o777).toBe(0o600);
    expect(bytes).toBe(blocks * 512);
    expect(bytes).toBeLessThan(mebibyte);
    const calls = await readFile(join(folder, "calls"), "utf8");
    expect(calls).toContain(`dump --memory-only --format elf dev ${core}.partial`);
  });

  test("that can't be written is none, and says why", async () => {
    await libvirt("echo error: no more >&2; exit 1");
    const dump = dumpMemory("test:///", "dev", core, 10_000);
    await expect(dump).rejects.toThrow("the memory of dev can't be written: error: no more");
    expect(await left()).toEqual([]);
  });

  test("that takes too long is none", async () => {
    await libvirt("exec sleep 60");
    const dump = dumpMemory("test:///", "dev", core, 500);
    await expect(dump).rejects.toThrow("can't be written: not finished within 0.5 s");
    expect(await left()).toEqual([]);
  });

  test("is not begun where there is no room for it", async () => {
    await libvirt("true", 2 ** 52);
    const dump = dumpMemory("test:///", "dev", core, 10_000);
    await expect(dump).rejects.toThrow(/MiB free, the memory of dev is 4294967296 MiB/);
    expect(await readFile(join(folder, "calls"), "utf8")).not.toContain(" dump ");
  });

  test("ends with the user's signal", async () => {
    await libvirt("exec sleep 60");
    const signal = AbortSignal.timeout(200);
    await expect(dumpMemory("test:///", "dev", core, 60_000, signal)).rejects.toThrow();
    expect(await left()).toEqual([]);
  });
});
