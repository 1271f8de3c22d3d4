import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import {
  collectArchive,
  collectAssets,
  restoreFiles,
} from "../../../../toolchain/command-plugin/collectedFiles.ts";
import {
  archiveSignature,
  assetSignature,
  signatureKey,
  type Properties,
} from "../../../../toolchain/command-plugin/propertyValue.ts";

// printf x | sha256sum
const hashOfX = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-files-"));
  await mkdir(join(folder, "deep/er"), { recursive: true });
  await writeFile(join(folder, "top"), "x");
  await writeFile(join(folder, "deep/er/low"), "x");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("collected files", () => {
  it("are assets by relative path, with place and content's hash; folders are none", async () => {
    expect(await collectAssets(folder, ["**"])).toEqual({
      "deep/er/low": {
        [signatureKey]: assetSignature,
        hash: hashOfX,
        path: join(folder, "deep/er/low"),
      },
      top: { [signatureKey]: assetSignature, hash: hashOfX, path: join(folder, "top") },
    });
  });

  it("make an archive that depends on names and contents only", async () => {
    const archive = (await collectArchive(folder, ["top"])) as Properties;
    expect(archive[signatureKey]).toBe(archiveSignature);
    const other = await mkdtemp(join(tmpdir(), "vexlab-files-"));
    await writeFile(join(other, "top"), "x");
    expect(((await collectArchive(other, ["top"])) as Properties)["hash"]).toBe(archive["hash"]);
    await writeFile(join(other, "top"), "y");
    expect(((await collectArchive(other, ["top"])) as Properties)["hash"]).not.toBe(
      archive["hash"],
    );
    await rm(other, { recursive: true });
  });

  it("fail with the file's name when one can't be read as a file", async () => {
    await symlink(join(folder, "deep"), join(folder, "link"));
    await expect(collectAssets(folder, ["link"])).rejects.toThrow(join(folder, "link"));
  });

  it("get their places back in a state that was stripped of them", async () => {
    const state = {
      assets: await collectAssets(folder, ["top"]),
      archive: await collectArchive(folder, ["**"]),
      stdout: "s",
    };
    const stripped = structuredClone(state) as {
      assets: Record<string, Properties>;
      archive: Properties;
      stdout: string;
    };
    delete stripped.assets["top"]?.["path"];
    delete stripped.archive["assets"];
    expect(await restoreFiles(stripped, folder, ["**"])).toEqual(state);
    await writeFile(join(folder, "top"), "changed");
    expect((await restoreFiles(stripped, folder, ["**"]))["archive"]).toEqual(stripped.archive);
  });
});
