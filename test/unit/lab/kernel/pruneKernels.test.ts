import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, it } from "vitest";
import { silentProgress } from "../../../../lab/report/progress.ts";
import { imageFolder } from "../../../../lab/image/cache.ts";
import { takeLock } from "../../../../lab/image/lock.ts";
import {
  kernelFiles,
  kernelFolder,
  kernelIds,
  kernelLock,
  kernelLog,
  kernelLogs,
  openKernel,
  readKernelPointer,
  sumsOf,
  writeKernelPointer,
} from "../../../../lab/kernel/kernelCache.ts";
import { isCurrentDerived, pruneKernels } from "../../../../lab/kernel/pruneKernels.ts";
import { hashDerived } from "../../../../lab/kernel/derivedImage.ts";

let cache = "";
const hash = (digit: string): string => digit.repeat(16);

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), "kernels-"));
});

async function makeKernel(id: string, recipeHash: string): Promise<void> {
  const boot = join(kernelFiles(id, cache), "boot");
  await mkdir(boot, { recursive: true });
  await writeFile(join(boot, "vmlinuz-6.1.1"), id);
  const manifest = {
    ...{ id, recipeHash, release: "6.1.1", sourceVersion: "6.1.1-1", compiler: "gcc-12 1" },
    ...{ created: "2026-01-01T00:00:00Z", seconds: 1 },
    ...(await sumsOf(kernelFiles(id, cache), "6.1.1")),
  };
  await writeFile(join(kernelFolder(id, cache), "manifest.json"), JSON.stringify(manifest));
}

async function makeImage(id: string, kernelId: string): Promise<void> {
  await mkdir(imageFolder(id, cache), { recursive: true });
  const manifest = {
    ...{ id, recipe: "debian-12-kasan", recipeHash: hash("9"), kernelRelease: "6.1.1" },
    ...{ created: "2026-01-01T00:00:00Z", packages: {}, files: {}, sysrootDigest: "0".repeat(64) },
    derived: {
      base: "debian-12",
      custom: { kind: "config", fragments: ["kasan"], files: [] },
      kernelId,
    },
  };
  await writeFile(join(imageFolder(id, cache), "manifest.json"), JSON.stringify(manifest));
}

it("keeps what an image is made with and what a configuration made last", async () => {
  for (const [index, id] of ["6.1-used-aaa", "6.1-last-bbb", "6.1-old-ccc"].entries())
    await makeKernel(id, hash(String(index)));
  await makeImage("debian-12-kasan-0123456789ab", "6.1-used-aaa");
  await writeKernelPointer(hash("1"), "6.1-last-bbb", cache);
  await mkdir(join(cache, "kernels", `.building-${hash("2")}.abc`));
  await writeFile(kernelLog(hash("3"), cache), "make failed");

  expect((await pruneKernels(silentProgress, { cache })).removed).toEqual([
    `.building-${hash("2")}.abc`,
    "6.1-old-ccc",
  ]);
  expect(await kernelLogs(cache)).toEqual([]);
  expect(await readKernelPointer(hash("1"), cache)).toBe("6.1-last-bbb");

  expect((await pruneKernels(silentProgress, { cache, all: true })).removed).toEqual([
    "6.1-last-bbb",
  ]);
  expect(await kernelIds(cache)).toEqual(["6.1-used-aaa"]);
  expect(await readKernelPointer(hash("1"), cache)).toBeUndefined();
});

it("leaves alone what is being built", async () => {
  const building = join(cache, "kernels", `.building-${hash("2")}.abc`);
  await mkdir(building, { recursive: true });
  const lock = await takeLock(kernelLock(hash("2"), cache), { deadlineSeconds: 0 });
  expect((await pruneKernels(silentProgress, { cache })).removed).toEqual([]);
  await lock.release();
  expect((await pruneKernels(silentProgress, { cache })).removed).toHaveLength(1);
});

it("gives out only kernels that are as their build left them", async () => {
  await makeKernel("6.1-a-aaa", hash("1"));
  expect(await openKernel("6.1-a-aaa", cache)).toMatchObject({ release: "6.1.1" });
  await writeFile(join(kernelFiles("6.1-a-aaa", cache), "boot/vmlinuz-6.1.1"), "6.1-x-aaa");
  expect(await openKernel("6.1-a-aaa", cache)).toBeUndefined();
  expect(await openKernel("6.1-b-bbb", cache)).toBeUndefined();
});

it("knows whether an image is what its configuration would make today", async () => {
  const custom = { kind: "config", fragments: ["kasan"], files: [] } as const;
  const recipeHash = await hashDerived("debian-12", custom);
  const manifest = { recipeHash, derived: { base: "debian-12", custom } };
  expect(await isCurrentDerived(manifest as never)).toBe(true);
  expect(await isCurrentDerived({ ...manifest, recipeHash: hash("0") } as never)).toBe(false);
  const gone = { base: "debian-12", custom: { kind: "tree", folder: "/nowhere" } };
  expect(await isCurrentDerived({ ...manifest, derived: gone } as never)).toBe(false);
});
