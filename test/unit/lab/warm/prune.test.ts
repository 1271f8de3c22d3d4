import { mkdir, open, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { takeLock } from "../../../../lab/image/lock.ts";
import { silentProgress } from "../../../../lab/report/progress.ts";
import {
  evictWarmImages,
  listWarmImages,
  pruneWarmImages,
  warmLimit,
  warmUsersOfImage,
} from "../../../../lab/warm/prune.ts";
import {
  holdWarmImage,
  openWarmImage,
  warmFolder,
  warmKeys,
} from "../../../../lab/warm/warmImage.ts";
import { keyOf, putWarmImage, temporaryWarmCache } from "./fakeWarmImage.ts";

const [oldest, held, recent, gone] = [1, 2, 3, 4].map(keyOf) as [string, string, string, string];
let cache: string;
let stack: string;

beforeEach(async () => {
  cache = await temporaryWarmCache();
  stack = join(cache, "stacks", "ci");
  await mkdir(stack, { recursive: true });
  const bytes = 64 * 1024;
  await putWarmImage(cache, recent, { hoursAgo: 1, bytes });
  await putWarmImage(cache, oldest, { hoursAgo: 100, bytes });
  await putWarmImage(cache, held, { hoursAgo: 50, bytes, imageId: "debian-12-1" });
  await holdWarmImage(held, stack, cache);
});
afterEach(() => rm(cache, { recursive: true }));

const busy = (key: string) =>
  takeLock(join(warmFolder(cache), `${key}.lock`), { deadlineSeconds: 0 });

describe("the list of warm images", () => {
  it("says what each is, what it takes and who uses it; least recently used first", async () => {
    const images = await listWarmImages(cache);
    expect(images.map(({ key, usedBy }) => [key, usedBy])).toEqual([
      [oldest, []],
      [held, [stack]],
      [recent, []],
    ]);
    expect(images[1]).toMatchObject({
      imageId: "debian-12-1",
      kernelRelease: "6.1.0-test",
      useless: false,
    });
    expect(images[0]?.bytes).toBeGreaterThanOrEqual(64 * 1024);
    expect(images[0]?.bytes).toBeLessThan(128 * 1024);
    expect(Date.parse(images[2]?.lastUsed ?? "")).toBeLessThan(Date.now() - 3_500_000);
  });

  it("counts what lies on the disk, not holes", async () => {
    const file = await open(join(warmFolder(cache), recent, "memory"), "r+");
    await file.truncate(1 << 30);
    await file.close();
    expect((await listWarmImages(cache)).at(-1)?.bytes).toBeLessThan(1 << 20);
  });

  it("has the damaged ones, too, and is empty without a cache", async () => {
    await writeFile(join(warmFolder(cache), oldest, "warm.json"), '{"key');
    expect(await listWarmImages(cache)).toContainEqual(
      expect.objectContaining({ key: oldest, imageId: "", useless: true }),
    );
    expect(await listWarmImages(join(cache, "nowhere"))).toEqual([]);
  });

  it("names the users of what lies over an image", async () => {
    expect(await warmUsersOfImage("debian-12-1", cache)).toEqual([stack]);
    expect(await warmUsersOfImage("debian-12-0", cache)).toEqual([]);
  });
});

describe("pruning", () => {
  it("removes what no stack uses and what was not used for a day", async () => {
    expect(await pruneWarmImages(silentProgress, { cache })).toEqual({
      removed: [oldest],
      kept: [
        { key: held, usedBy: [stack] },
        { key: recent, usedBy: [] },
      ],
    });
    expect(await warmKeys(cache)).toEqual([held, recent]);
    expect(await openWarmImage(held, cache)).toBeDefined();
  });

  it("removes all that no stack uses when all is asked for, and frees what a stack leaves", async () => {
    const { removed } = await pruneWarmImages(silentProgress, { cache, which: "all" });
    expect(removed).toEqual([oldest, recent]);
    await rm(stack, { recursive: true });
    expect((await pruneWarmImages(silentProgress, { cache, which: "all" })).removed).toEqual([
      held,
    ]);
    expect((await readdir(warmFolder(cache))).filter((name) => !name.endsWith(".lock"))).toEqual([
      `${held}.users`,
    ]);
  });

  it("removes only what can't be opened any more when that is asked for", async () => {
    await putWarmImage(cache, gone, { imageDisk: join(cache, "pruned.qcow2") });
    const { removed } = await pruneWarmImages(silentProgress, { cache, which: "useless" });
    expect(removed).toEqual([gone]);
  });

  it("leaves alone what is being made, and says so", async () => {
    const lock = await busy(oldest);
    const lines: string[] = [];
    const progress = { ...silentProgress, line: (text: string) => void lines.push(text) };
    const { removed } = await pruneWarmImages(progress, { cache, which: "all" });
    await lock.release();
    expect(removed).toEqual([recent]);
    expect(lines).toEqual([`warm image ${oldest} is being made; it is left alone`]);
  });

  it("removes what killed runs left, and not what is under way", async () => {
    const left = ".building-999999999-pruned-0";
    const under = `.building-${process.pid}-abc`;
    for (const name of [left, under]) await mkdir(join(warmFolder(cache), name));
    await pruneWarmImages(silentProgress, { cache });
    const names = await readdir(warmFolder(cache));
    expect(names).toContain(under);
    expect(names).not.toContain(left);
  });
});

describe("the bound", () => {
  const image = 80 * 1024;

  it("removes the least recently used until it holds, and no more", async () => {
    expect(await evictWarmImages(10 * image, silentProgress, { cache })).toEqual([]);
    expect(await evictWarmImages(2.5 * image, silentProgress, { cache })).toEqual([oldest]);
    expect(await warmKeys(cache)).toEqual([held, recent]);
  });

  it("never removes one with users, nor the one that was just made, nor one being made", async () => {
    await putWarmImage(cache, gone, { hoursAgo: 200 });
    const lock = await busy(oldest);
    expect(await evictWarmImages(1, silentProgress, { cache, keep: gone })).toEqual([recent]);
    await lock.release();
    expect(await warmKeys(cache)).toEqual([oldest, held, gone]);
  });

  it("is 10 GiB, or what the environment says", () => {
    expect(warmLimit({})).toBe(10 * 2 ** 30);
    expect(warmLimit({ VEXLAB_WARM_MAX: "" })).toBe(10 * 2 ** 30);
    expect(warmLimit({ VEXLAB_WARM_MAX: "512M" })).toBe(512 * 2 ** 20);
    expect(() => warmLimit({ VEXLAB_WARM_MAX: "20" })).toThrow(
      "VEXLAB_WARM_MAX = 20: not a size; allowed: a number with M, G or T, such as 2048M or 4G",
    );
  });
});
