import {
  appendFile,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  holdWarmImage,
  openWarmImage,
  releaseOtherWarmImages,
  warmFolder,
  warmImageUsers,
} from "../../../../lab/warm/warmImage.ts";
import { keyOf, putWarmImage, temporaryWarmCache } from "./fakeWarmImage.ts";

let cache: string;
let folder: string;
const key = keyOf(1);

beforeEach(async () => {
  cache = await temporaryWarmCache();
  folder = await putWarmImage(cache, key, { hoursAgo: 48 });
});
afterEach(() => rm(cache, { recursive: true }));

/** Overwrites the beginning of a file; its size stays. */
async function damage(name: string): Promise<void> {
  const file = join(folder, name);
  const text = await readFile(file);
  await writeFile(file, Buffer.concat([Buffer.from("damaged"), text.subarray(7)]));
}

describe("a warm image", () => {
  it("is what was sealed", async () => {
    const image = await openWarmImage(key, cache);
    expect(image).toMatchObject({
      key,
      folder,
      imageId: "debian-12-0",
      kernelRelease: "6.1.0-test",
      rootDisk: join(folder, "root.qcow2"),
      testDisk: join(folder, "test.qcow2"),
      memory: join(folder, "memory"),
      state: join(folder, "state"),
    });
    expect(Object.keys(image?.files ?? {}).sort()).toEqual([
      ...["memory", "root.qcow2", "state", "test.qcow2"],
    ]);
    expect(Date.parse(image?.created ?? "")).toBeGreaterThan(Date.now() - 60_000);
  });

  it("is marked as used when it is opened", async () => {
    expect((await stat(folder)).mtimeMs).toBeLessThan(Date.now() - 47 * 3600_000);
    await openWarmImage(key, cache);
    expect((await stat(folder)).mtimeMs).toBeGreaterThan(Date.now() - 60_000);
  });

  it("is none when there is none", async () => {
    expect(await openWarmImage(keyOf(2), cache)).toBeUndefined();
    expect(await openWarmImage(key, join(cache, "nowhere"))).toBeUndefined();
  });

  it.each(["root.qcow2", "test.qcow2", "memory", "state"])(
    "is none when %s is damaged",
    async (name) => {
      await damage(name);
      expect(await openWarmImage(key, cache)).toBeUndefined();
      // Nor the next time.
      expect(await openWarmImage(key, cache)).toBeUndefined();
    },
  );

  it.each(["root.qcow2", "test.qcow2", "memory", "state"])(
    "is none when %s is longer or gone",
    async (name) => {
      await appendFile(join(folder, name), "x");
      expect(await openWarmImage(key, cache)).toBeUndefined();
      await rm(join(folder, name));
      expect(await openWarmImage(key, cache)).toBeUndefined();
    },
  );

  it("is none when the image below it is gone", async () => {
    await rm(join(cache, "image.qcow2"));
    expect(await openWarmImage(key, cache)).toBeUndefined();
  });

  it.each(["", '{"key": "1', "null", "{}"])("is none with the manifest %j", async (text) => {
    await writeFile(join(folder, "warm.json"), text);
    expect(await openWarmImage(key, cache)).toBeUndefined();
  });

  it("is read again when its files look otherwise, and then believed again", async () => {
    await utimes(join(folder, "state"), new Date(0), new Date(0));
    const note = (): Promise<string> => readFile(join(folder, "verified.json"), "utf8");
    const before = await note();
    expect(await openWarmImage(key, cache)).toBeDefined();
    expect(await note()).not.toBe(before);
    // Believed by its looks: a note without them has it read.
    await writeFile(join(folder, "verified.json"), "{}");
    expect(await openWarmImage(key, cache)).toBeDefined();
  });
});

describe("users of a warm image", () => {
  let stacks: string[];
  beforeEach(async () => {
    stacks = ["ci", "dev"].map((name) => join(cache, "stacks", name));
    for (const stack of stacks) await mkdir(stack, { recursive: true });
  });

  it("are those that hold it, once each", async () => {
    const [ci = "", dev = ""] = stacks;
    expect(await warmImageUsers(key, cache)).toEqual([]);
    for (const stack of [ci, dev, ci]) await holdWarmImage(key, stack, cache);
    expect((await warmImageUsers(key, cache)).sort()).toEqual([ci, dev]);
  });

  it("let go of all but one", async () => {
    const [ci = "", dev = ""] = stacks;
    for (const held of [keyOf(1), keyOf(2), keyOf(3)]) await holdWarmImage(held, ci, cache);
    await holdWarmImage(keyOf(2), dev, cache);
    await releaseOtherWarmImages(ci, keyOf(3), cache);
    const users = await Promise.all([1, 2, 3].map((n) => warmImageUsers(keyOf(n), cache)));
    expect(users).toEqual([[], [dev], [ci]]);
    await releaseOtherWarmImages(ci, undefined, cache);
    expect(await warmImageUsers(keyOf(3), cache)).toEqual([]);
    await releaseOtherWarmImages(ci, undefined, join(cache, "nowhere"));
  });

  it("are forgotten when their folder is gone", async () => {
    const [ci = "", dev = ""] = stacks;
    for (const stack of stacks) await holdWarmImage(key, stack, cache);
    await rm(ci, { recursive: true });
    expect(await warmImageUsers(key, cache)).toEqual([dev]);
    expect(await readdir(join(warmFolder(cache), `${key}.users`))).toHaveLength(1);
  });

  it("count when their note can't be read, and not while it is being written", async () => {
    const users = join(warmFolder(cache), `${key}.users`);
    await mkdir(users);
    await writeFile(join(users, keyOf(4)), "");
    await mkdir(join(users, keyOf(5)));
    await writeFile(join(users, `${keyOf(6)}.123456`), "/nowh");
    const unknown = [4, 5].map((n) => `unknown (${join(users, keyOf(n))})`);
    expect(await warmImageUsers(key, cache)).toEqual(unknown);
    expect(await readdir(users)).toHaveLength(3);
  });

  it("make a folder for nobody else", async () => {
    const fresh = join(cache, "fresh");
    await holdWarmImage(key, stacks[0] ?? "", fresh);
    expect((await stat(warmFolder(fresh))).mode & 0o777).toBe(0o700);
  });
});
