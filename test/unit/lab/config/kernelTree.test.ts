import { mkdtemp, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  kernelTreeFaults,
  missingOptions,
  parseKernelConfig,
  treeSource,
} from "../../../../lab/config/kernelTree.ts";
import { fakeTree, goodConfig } from "../kernel/tree.ts";

const problems = async (folder: string): Promise<string[]> =>
  (await kernelTreeFaults("vexlab:kernelTree", "linux", folder)).map(({ problem }) => problem);

describe("a kernel's configuration", () => {
  it("is read with modules, texts, and without what is not set", () => {
    const config = parseKernelConfig(
      'CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=m\nCONFIG_D="-x"\nCONFIG_E=64\n\n# a comment\n',
    );
    expect([...config]).toEqual([
      ["A", "y"],
      ["C", "m"],
      ["D", "-x"],
      ["E", "64"],
    ]);
  });

  it("lacks what a guest needs, each with what for", () => {
    const config = parseKernelConfig(
      goodConfig.replace("CONFIG_VIRTIO_BLK=y\n", "").replace("DEVTMPFS=y", "DEVTMPFS=m"),
    );
    expect(missingOptions(config)).toEqual([
      "CONFIG_DEVTMPFS=y for devices in the initrd",
      "CONFIG_VIRTIO_BLK=y (or m) for the disks",
    ]);
  });
});

describe("a kernel tree", () => {
  it("is right when it is built for guests", async () => {
    expect(await problems(await fakeTree())).toEqual([]);
  });

  it("may have drivers as modules", async () => {
    const config = goodConfig.replace("CONFIG_VIRTIO_BLK=y", "CONFIG_VIRTIO_BLK=m");
    expect(await problems(await fakeTree({ ".config": config }))).toEqual([]);
  });

  it("does not exist, or is something else", async () => {
    expect(await problems("/nowhere/linux")).toEqual(["/nowhere/linux does not exist"]);
    const bare = await mkdtemp(join(tmpdir(), "bare-"));
    expect(await problems(bare)).toEqual(["is no kernel tree: no .config in it"]);
  });

  it("is not configured, or not built", async () => {
    expect(await problems(await fakeTree({ ".config": undefined }))).toEqual([
      "is not configured: it has no .config",
    ]);
    const unbuilt = { "arch/x86/boot/bzImage": undefined, "modules.order": undefined };
    expect(await problems(await fakeTree(unbuilt))).toEqual([
      "is not built: it has no arch/x86/boot/bzImage",
      "is not built: it has no modules.order",
    ]);
  });

  it("is for another architecture, or refuses every module of others", async () => {
    const arm = goodConfig.replace("X86_64", "ARM64");
    expect(await problems(await fakeTree({ ".config": arm }))).toEqual([
      "is not configured for x86_64",
    ]);
    const forced = `${goodConfig}CONFIG_MODULE_SIG_FORCE=y\n`;
    expect(await problems(await fakeTree({ ".config": forced }))).toEqual([
      "loads signed modules only (CONFIG_MODULE_SIG_FORCE)",
    ]);
  });

  it("has its sources elsewhere when it was built with O=", async () => {
    const folder = await fakeTree();
    expect(await treeSource(folder)).toBe(folder);
    await symlink("/src/linux", join(folder, "source"));
    expect(await treeSource(folder)).toBe("/src/linux");
  });
});
