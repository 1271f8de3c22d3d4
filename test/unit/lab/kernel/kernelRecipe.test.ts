import { utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { CustomKernel } from "../../../../lab/config/customKernel.ts";
import { sourceOrigin } from "../../../../lab/kernel/fetchSource.ts";
import { untakenLines } from "../../../../lab/kernel/buildKernel.ts";
import {
  hashCustomKernel,
  kernelSuite,
  releaseSuffix,
  sourcePackage,
  treeModules,
} from "../../../../lab/kernel/kernelRecipe.ts";
import { fakeTree } from "./tree.ts";

const config = (...fragments: string[]): CustomKernel & { kind: "config" } => ({
  kind: "config",
  fragments,
  files: [],
});

describe("the hash of a configured kernel", () => {
  it("depends on the fragments and on the content of the user's files", async () => {
    const tree = await fakeTree({ "mine.config": "CONFIG_A=y\n" });
    const file = join(tree, "mine.config");
    const own: CustomKernel = { kind: "config", fragments: [], files: [file] };
    const hashes = [await hashCustomKernel(config("kasan")), await hashCustomKernel(own)];
    expect(await hashCustomKernel(config("kasan"))).toBe(hashes[0]);
    await writeFile(file, "CONFIG_B=y\n");
    hashes.push(await hashCustomKernel(own), await hashCustomKernel(config("kasan", "lockdep")));
    expect(new Set(hashes).size).toBe(4);
    expect(hashes.every((hash) => /^[0-9a-f]{16}$/.test(hash))).toBe(true);
  });
});

describe("the hash of a tree", () => {
  it.each([
    [".config", "CONFIG_X86_64=y\n"],
    ["arch/x86/boot/bzImage", "another"],
    ["include/config/kernel.release", "6.1.2\n"],
    ["Module.symvers", ""],
    ["fs/ext4/ext4.ko", "another module"],
    ["modules.order", "fs/ext4/ext4.o\nfs/xfs/xfs.o\n"],
  ])("changes with %s", async (file, text) => {
    const folder = await fakeTree();
    const before = await hashCustomKernel({ kind: "tree", folder });
    expect(await hashCustomKernel({ kind: "tree", folder })).toBe(before);
    await writeFile(join(folder, file), text);
    expect(await hashCustomKernel({ kind: "tree", folder })).not.toBe(before);
  });

  it("does not change with a file that is no part of the kernel", async () => {
    const folder = await fakeTree();
    const before = await hashCustomKernel({ kind: "tree", folder });
    await writeFile(join(folder, "fs/ext4/ext4.o"), "object");
    await utimes(join(folder, ".config"), 1, 1);
    expect(await hashCustomKernel({ kind: "tree", folder })).toBe(before);
  });
});

it("finds modules by what old and new kernels write in modules.order", () => {
  expect(treeModules("kernel/fs/ext4/ext4.ko\nfs/xfs/xfs.o\nkernel/trace/x.o\n")).toEqual([
    ["kernel/fs/ext4/ext4.ko", "fs/ext4/ext4.ko"],
    ["fs/xfs/xfs.ko"],
    ["kernel/trace/x.ko", "trace/x.ko"],
  ]);
});

it("takes the sources from where the image's kernel comes from", () => {
  const packages = ["gcc", "linux-image-amd64/bookworm-backports"];
  expect(kernelSuite({ release: "bookworm", packages })).toBe("bookworm-backports");
  expect(kernelSuite({ release: "sid", packages: ["linux-image-amd64"] })).toBe("sid");
  expect(sourcePackage("6.12.48+deb12-amd64")).toBe("linux-source-6.12");
});

it("is the same kernel for every update of a release's own", () => {
  const origin = (recipe: string, kernelRelease: string, suite?: string) =>
    sourceOrigin({
      ...{ recipe, kernelRelease },
      ...(suite !== undefined && { kernelPackage: { name: "linux-image", version: "1", suite } }),
    });
  const own = { release: "bookworm", suite: "bookworm", name: "linux-source-6.1" };
  expect(origin("debian-12", "6.1.0-56-amd64")).toEqual(own);
  expect(origin("debian-12", "6.1.0-57-amd64", "bookworm-security")).toEqual(own);
  expect(origin("debian-12-linux-6.12", "6.12.95+deb12-amd64", "bookworm-backports")).toEqual({
    ...{ release: "bookworm", suite: "bookworm-backports", name: "linux-source-6.12" },
  });
});

it("gives the kernel a release that says what it has", () => {
  expect(releaseSuffix(config("kasan", "lockdep"))).toBe("-kasan-lockdep");
  expect(releaseSuffix({ ...config(), files: ["/a/x.config"] })).toBe("-own");
});

it("tells what a configuration did not take", () => {
  const fragment =
    '# why\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=n\nCONFIG_D="x"\nCONFIG_E=8\n';
  expect(untakenLines(fragment, 'CONFIG_A=y\nCONFIG_D="x"\nCONFIG_E=8\n')).toEqual([]);
  expect(untakenLines(fragment, "CONFIG_A=m\nCONFIG_B=y\nCONFIG_C=y\nCONFIG_E=9\n")).toEqual([
    "CONFIG_A=y",
    "# CONFIG_B is not set",
    "CONFIG_C=n",
    'CONFIG_D="x"',
    "CONFIG_E=8",
  ]);
});
