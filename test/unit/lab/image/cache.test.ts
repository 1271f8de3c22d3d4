import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  imageFolder,
  imageIds,
  imagesFolder,
  pointers,
  readManifest,
  readPointer,
  recipesFolder,
  unfinishedBuilds,
  writePointer,
} from "../../../../lab/image/cache.ts";
import { hashRecipe, recipe } from "../../../../lab/image/recipe.ts";
import { ensureImage } from "../../../../lab/image/image.ts";
import { holdImage } from "../../../../lab/image/holders.ts";
import { silentProgress } from "../../../../lab/report/progress.ts";
import { putImage, temporaryCache } from "./fakeImage.ts";

const id = "debian-12-0123456789ab";
let cache: string;
beforeEach(async () => {
  cache = await temporaryCache();
});
afterEach(() => rm(cache, { recursive: true }));

describe("pointers", () => {
  it("lead from a recipe's hash to the image that it made", async () => {
    await writePointer("abc", id, cache);
    expect(await readPointer("abc", cache)).toBe(id);
    expect(await pointers(cache)).toEqual(new Map([["abc", id]]));
  });

  it("are as if absent when they cannot be read", async () => {
    await writeFile(join(recipesFolder(cache), "abc.json"), '{"id": ');
    expect(await readPointer("abc", cache)).toBeUndefined();
    expect(await readPointer("def", cache)).toBeUndefined();
  });
});

describe("images", () => {
  it("are finished only under their own name", async () => {
    await putImage(cache, id);
    await mkdir(join(imagesFolder(cache), ".building-debian-12.x1"));
    await mkdir(join(imagesFolder(cache), ".building-debian-12-backports.x2"));
    await holdImage(id, "someone", undefined, cache);
    expect(await imageIds(cache)).toEqual([id]);
  });

  it("of a recipe that were left unfinished are told from those of another", async () => {
    const mine = join(imagesFolder(cache), ".building-debian-12.x1");
    const other = join(imagesFolder(cache), ".building-debian-12-backports.x2");
    await mkdir(mine);
    await mkdir(other);
    expect(await unfinishedBuilds("debian-12", cache)).toEqual([mine]);
    expect(await unfinishedBuilds(undefined, cache)).toHaveLength(2);
  });

  it("with an unreadable manifest are an error that names it", async () => {
    await putImage(cache, id);
    await writeFile(join(imageFolder(id, cache), "manifest.json"), "{}");
    await expect(readManifest(id, cache)).rejects.toThrow(/manifest\.json/);
  });
});

describe("ensureImage", () => {
  it("returns an image that is here without building", async () => {
    const hash = await hashRecipe(recipe("debian-12"));
    await putImage(cache, id, hash);
    await writePointer(hash, id, cache);
    const image = await ensureImage("debian-12", silentProgress, { cache });
    expect(image.id).toBe(id);
  });

  it("refuses to replace a damaged image below the disks of stacks, naming both", async () => {
    const hash = await hashRecipe(recipe("debian-12"));
    await putImage(cache, id, hash);
    await writePointer(hash, id, cache);
    await holdImage(id, "stack dev", undefined, cache);
    await writeFile(join(imageFolder(id, cache), "root.qcow2"), "x");
    await expect(ensureImage("debian-12", silentProgress, { cache })).rejects.toThrow(
      /root\.qcow2: 1 bytes.*used by stack dev/,
    );
  });

  it("names the recipes when there is none of that name", async () => {
    await expect(ensureImage("debian-99", silentProgress, { cache })).rejects.toMatchObject({
      message: "there is no recipe debian-99",
      next: expect.stringContaining("debian-12-backports") as string,
    });
  });
});
