/** Dumps, with a virsh of the test's own on PATH in the place of libvirt and QEMU. */
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { dumpMemory } from "../../../../lab/hypervisor/memoryDump.ts";
import { qemuCore } from "./core.ts";

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

/** A QEMU that writes a core with 8 MiB of zeros behind it, and then says this of its dump. */
async function qemu(dump: object, memory = 8 * mebibyte): Promise<void> {
  const file = join(folder, "virsh");
  await writeFile(join(folder, "core"), qemuCore());
  await writeFile(
    file,
    `#!/bin/sh
for request; do :; done
printf '%s\\n' "$request" >>${folder}/calls
case $request in
*'"query-memory-size-summary"'*) echo '{"return":{"base-memory":${memory}}}' ;;
*'"dump-guest-memory"'*)
  file=\${request##*file:}; file=\${file%%\\"*}
  { cat ${folder}/core; head -c ${8 * mebibyte} /dev/zero; } >"$file"; chmod 400 "$file"
  echo '{"return":{}}' ;;
*'"query-dump"'*) echo '{"return":${JSON.stringify(dump)}}' ;;
esac
`,
  );
  await chmod(file, 0o755);
}

const left = async (): Promise<string[]> =>
  (await readdir(folder)).filter((name) => name.startsWith("memory"));

describe("a dump of a guest's memory", () => {
  test("has its name when it is whole, for its owner only, and no room for zeros", async () => {
    await qemu({ status: "completed" });
    const bytes = await dumpMemory("test:///", "dev", core, 10_000);
    expect(await left()).toEqual(["memory-1.core"]);
    const { size, mode, blocks } = await stat(core);
    expect(size).toBeGreaterThan(8 * mebibyte);
    expect(mode & 0o777).toBe(0o600);
    expect(bytes).toBe(blocks * 512);
    expect(bytes).toBeLessThan(mebibyte);
    const calls = (await readFile(join(folder, "calls"), "utf8")).split("\n");
    const call = calls.find((line) => line.includes("dump-guest-memory")) ?? "";
    expect(JSON.parse(call)).toMatchObject({
      arguments: { paging: false, detach: true, format: "elf", protocol: `file:${core}.partial` },
    });
  });

  test("that QEMU can't write is none", async () => {
    await qemu({ status: "failed" });
    const dump = dumpMemory("test:///", "dev", core, 10_000);
    await expect(dump).rejects.toThrow("QEMU could not write the memory of dev");
    expect(await left()).toEqual([]);
  });

  test("that takes too long is none, and says how far it came", async () => {
    await qemu({ status: "active", completed: 3, total: 4 });
    const dump = dumpMemory("test:///", "dev", core, 300);
    await expect(dump).rejects.toThrow("was not written within 0.3 s, 75 % was written");
    expect(await left()).toEqual([]);
  });

  test("is not begun where there is no room for it", async () => {
    await qemu({ status: "completed" }, 2 ** 52);
    const dump = dumpMemory("test:///", "dev", core, 10_000);
    await expect(dump).rejects.toThrow(/MiB free, the memory of dev is 4294967296 MiB/);
    expect(await readFile(join(folder, "calls"), "utf8")).not.toContain("dump-guest-memory");
  });

  test("ends with the user's signal", async () => {
    await qemu({ status: "active" });
    const signal = AbortSignal.timeout(200);
    await expect(dumpMemory("test:///", "dev", core, 60_000, signal)).rejects.toThrow();
    expect(await left()).toEqual([]);
  });
});
