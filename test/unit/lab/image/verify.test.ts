import { chmod, readFile, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { imageFolder, type Manifest } from "../../../../lab/image/cache.ts";
import { openImage } from "../../../../lab/image/image.ts";
import { digestTree, verifyFiles } from "../../../../lab/image/verify.ts";
import { putImage, temporaryCache } from "./fakeImage.ts";

const id = "debian-12-0123456789ab";
let cache: string;
let manifest: Manifest;
const at = (name: string): string => join(imageFolder(id, cache), name);

beforeEach(async () => {
  cache = await temporaryCache();
  manifest = await putImage(cache, id);
});
afterEach(() => rm(cache, { recursive: true }));

describe("verifyFiles", () => {
  it("finds nothing wrong with a whole image, first and later", async () => {
    expect(await verifyFiles(manifest, "changed", cache)).toEqual([]);
    expect(await verifyFiles(manifest, "changed", cache)).toEqual([]);
    expect(await verifyFiles(manifest, "all", cache)).toEqual([]);
  });

  it("finds a changed byte by the checksum, naming the file", async () => {
    await verifyFiles(manifest, "changed", cache);
    const content = await readFile(at("initrd"), "utf8");
    await writeFile(at("initrd"), content.replace("i", "I"));
    const damages = await verifyFiles(manifest, "changed", cache);
    expect(damages).toMatchObject([{ file: "initrd", problem: /checksum/ }]);
  });

  it("finds a change that kept size and time only when it reads everything", async () => {
    const old = new Date(2020, 1, 1);
    await utimes(at("vmlinuz"), old, old);
    await verifyFiles(manifest, "changed", cache);
    const content = await readFile(at("vmlinuz"), "utf8");
    await writeFile(at("vmlinuz"), content.replace("v", "V"));
    await utimes(at("vmlinuz"), old, old);
    expect(await verifyFiles(manifest, "changed", cache)).toEqual([]);
    expect(await verifyFiles(manifest, "all", cache)).toMatchObject([{ file: "vmlinuz" }]);
  });

  it("accepts a file that was only touched, after reading it", async () => {
    await verifyFiles(manifest, "changed", cache);
    await utimes(at("vmlinuz"), new Date(), new Date());
    expect(await verifyFiles(manifest, "changed", cache)).toEqual([]);
  });

  it("finds truncated and missing files", async () => {
    await writeFile(at("root.qcow2"), "");
    await rm(at("initrd"));
    const damages = await verifyFiles(manifest, "changed", cache);
    expect(damages.map(({ file, problem }) => `${file}: ${problem}`)).toEqual([
      "root.qcow2: 0 bytes instead of 36",
      "initrd: missing",
    ]);
  });

  it("finds a sysroot without its kernel at once, and any other change when it reads everything", async () => {
    await writeFile(at("sysroot/file"), "something else");
    await writeFile(at("sysroot/more"), "");
    expect(await verifyFiles(manifest, "changed", cache)).toEqual([]);
    expect(await verifyFiles(manifest, "all", cache)).toMatchObject([{ file: "sysroot" }]);
    await rm(at("sysroot/usr"), { recursive: true });
    expect(await verifyFiles(manifest, "changed", cache)).toMatchObject([{ file: "sysroot" }]);
  });
});

describe("digestTree", () => {
  it("sees names, sizes, permissions and targets of links", async () => {
    const seen = new Set([await digestTree(at("sysroot"))]);
    await symlink("file", at("sysroot/link"));
    seen.add(await digestTree(at("sysroot")));
    await rm(at("sysroot/link"));
    await symlink("elsewhere", at("sysroot/link"));
    seen.add(await digestTree(at("sysroot")));
    await chmod(at("sysroot/file"), 0o600);
    seen.add(await digestTree(at("sysroot")));
    await writeFile(at("sysroot/file"), "longer than it was before");
    seen.add(await digestTree(at("sysroot")));
    expect(seen.size).toBe(5);
  });
});

describe("openImage", () => {
  it("gives absolute paths of a whole image", async () => {
    const image = await openImage(id, cache);
    expect(image.rootDisk).toBe(at("root.qcow2"));
    expect(image.sysroot).toBe(at("sysroot"));
    expect(image.kernelRelease).toBe("6.1.0-test");
  });

  it("says which image is not there", async () => {
    await expect(openImage("debian-12-ffffffffffff", cache)).rejects.toThrow(
      /debian-12-ffffffffffff is not in the cache/,
    );
  });

  it("says which file is damaged", async () => {
    await writeFile(at("initrd"), "x");
    await expect(openImage(id, cache)).rejects.toThrow(/damaged: initrd: 1 bytes/);
  });
});
