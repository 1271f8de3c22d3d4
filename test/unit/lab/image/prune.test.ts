import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  imageIds,
  imagesFolder,
  pointers,
  recipeLock,
  unfinishedBuilds,
  writePointer,
} from "../../../../lab/image/cache.ts";
import { holdImage, imageHolders, releaseImage } from "../../../../lab/image/holders.ts";
import { takeLock } from "../../../../lab/image/lock.ts";
import { hashRecipe, recipe } from "../../../../lab/image/recipe.ts";
import { pruneImages } from "../../../../lab/image/prune.ts";
import { silentProgress } from "../../../../lab/report/progress.ts";
import { putImage, temporaryCache } from "./fakeImage.ts";

const old = "debian-12-000000000000";
const held = "debian-12-111111111111";
const current = "debian-12-222222222222";
let cache: string;

beforeEach(async () => {
  cache = await temporaryCache();
  for (const id of [old, held, current]) await putImage(cache, id);
  await writePointer(await hashRecipe(recipe("debian-12")), current, cache);
  // What an earlier version of the recipe made.
  await writePointer("0000000000000000", old, cache);
  await holdImage(held, "stack dev", undefined, cache);
});
afterEach(() => rm(cache, { recursive: true }));

describe("pruneImages", () => {
  it("removes what nobody uses and keeps what a stack or a recipe needs", async () => {
    expect(await pruneImages(silentProgress, { cache })).toEqual({
      removed: [old],
      kept: [
        { id: held, usedBy: ["stack dev"] },
        { id: current, usedBy: [] },
      ],
    });
    expect(await imageIds(cache)).toEqual([held, current]);
  });

  it("removes everything but what stacks use when all is asked for, pointers too", async () => {
    const { removed } = await pruneImages(silentProgress, { cache, all: true });
    expect(removed).toEqual([old, current]);
    expect(await imageIds(cache)).toEqual([held]);
    expect((await pointers(cache)).size).toBe(0);
  });

  it("keeps what something else that is used lies over", async () => {
    const alsoUsedBy = (id: string) => Promise.resolve(id === old ? ["/stacks/ci"] : []);
    const { removed, kept } = await pruneImages(silentProgress, { cache, all: true, alsoUsedBy });
    expect(removed).toEqual([current]);
    expect(kept).toContainEqual({ id: old, usedBy: ["/stacks/ci"] });
  });

  it("removes what killed builds left, but not what is being built", async () => {
    const left = join(imagesFolder(cache), ".building-debian-12.left");
    const other = join(imagesFolder(cache), ".building-debian-12-backports.busy");
    await mkdir(left);
    await mkdir(other);
    const building = await takeLock(recipeLock("debian-12-backports", cache), {
      deadlineSeconds: 1,
    });
    await pruneImages(silentProgress, { cache });
    expect(await unfinishedBuilds(undefined, cache)).toEqual([other]);
    await building.release();
  });
});

describe("holders", () => {
  it("are gone when they release", async () => {
    await releaseImage(held, "stack dev", cache);
    expect(await imageHolders(held, cache)).toEqual([]);
    await releaseImage(held, "stack dev", cache);
  });

  it("do not count when their folder is gone", async () => {
    const folder = await mkdtemp(join(tmpdir(), "vexlab-stack-"));
    await holdImage(old, "stack test", folder, cache);
    expect(await imageHolders(old, cache)).toMatchObject([{ holder: "stack test" }]);
    await rm(folder, { recursive: true });
    expect(await imageHolders(old, cache)).toEqual([]);
  });

  it("count when their note cannot be read", async () => {
    await writeFile(join(imagesFolder(cache), `${held}.users`, "torn.json"), '{"hol');
    expect(await imageHolders(held, cache)).toHaveLength(2);
  });
});
