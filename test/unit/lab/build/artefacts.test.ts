import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { collectArtefacts } from "../../../../lab/build/artefacts.ts";
import { parseManifest } from "../../../../lab/config/manifest.ts";
import { moduleFile } from "./moduleFile.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-artefacts-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function put(path: string, content: Buffer | string): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), content);
}

describe("of a DKMS package", () => {
  const manifest = (more = "") =>
    parseManifest(`{name: a, module: {folder: k, dkms: dkms.conf${more}}}`);
  const collect = (more?: string) => collectArtefacts(folder, manifest(more), "6.1.0", []);
  const built = (release: string, depends: string) =>
    moduleFile(`vermagic=${release} SMP \0depends=${depends}\0`);

  it("are the modules that its dkms.conf named, with what they depend on", async () => {
    await put("k/.vexlab-dkms", "module=sub/a.ko\0module=b.ko\0");
    await put("k/sub/a.ko", built("6.1.0", "videodev,b"));
    await put("k/b.ko", built("6.1.0", ""));
    await put("k/other.ko", built("6.1.0", ""));
    expect(await collect()).toMatchObject([
      { path: "k/sub/a.ko", depends: ["videodev", "b"] },
      { path: "k/b.ko", depends: [] },
    ]);
    expect(await collect(", artefacts: [b.ko]")).toMatchObject([{ path: "k/b.ko" }]);
  });

  it("have to be there, and for the kernel", async () => {
    await put("k/.vexlab-dkms", "module=a.ko\0module=b.ko\0module=c.ko\0");
    await put("k/a.ko", built("6.12.0", ""));
    await put("k/b.ko", "no module");
    await expect(collect()).rejects.toMatchObject({
      exitCode: 6,
      message: expect.stringMatching(
        /a\.ko was built for kernel 6\.12\.0.*b\.ko is not a kernel module.*c\.ko was not made/,
      ) as string,
      next: "Correct the artefacts in dkms.conf, or the Makefile.",
    });
  });

  it.each([
    ["", "dkms.conf names no module"],
    ["module=../a.ko\0", "dkms.conf puts ../a.ko outside of its folder; dkms.conf names no module"],
  ])("that %o leaves without any are a failed build", async (record, said) => {
    await put("k/.vexlab-dkms", record);
    await expect(collect()).rejects.toMatchObject({
      exitCode: 6,
      message: expect.stringContaining(said) as string,
    });
  });
});
