import { mkdtemp, writeFile } from "node:fs/promises";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import {
  customConfig,
  customName,
  fragmentNames,
  kernelConfigWords,
  shippedFragments,
} from "../../../../lab/config/customKernel.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "fragments-"));
  await writeFile(join(folder, "mine.config"), "CONFIG_DEBUG_LIST=y\n");
});

const problems = async (...words: string[]): Promise<string[]> => {
  const found = await customConfig("vexlab:kernelConfig", words, folder);
  return "kind" in found ? [] : found.map(({ value, problem }) => `${value ?? ""}: ${problem}`);
};

describe("the words of kernelConfig", () => {
  it("are separated by commas or blanks, or a list as Pulumi hands it over", () => {
    expect(kernelConfigWords("kasan,lockdep")).toEqual(["kasan", "lockdep"]);
    expect(kernelConfigWords(" kasan, lockdep\n")).toEqual(["kasan", "lockdep"]);
    expect(kernelConfigWords('["kasan","lockdep"]')).toEqual(["kasan", "lockdep"]);
    expect(kernelConfigWords("")).toEqual([]);
  });

  it("are no list of anything else", () => {
    expect(kernelConfigWords("[1]")).toBeUndefined();
    expect(kernelConfigWords('["kasan"')).toBeUndefined();
  });
});

describe("fragments", () => {
  it("are the same whatever their order, and once only", async () => {
    const one = await customConfig("k", ["lockdep", "kasan", "kasan"], folder);
    expect(one).toEqual({ kind: "config", fragments: ["kasan", "lockdep"], files: [] });
    expect(await customConfig("k", ["kasan", "lockdep"], folder)).toEqual(one);
  });

  it("may be files, relative to the checkout", async () => {
    expect(await customConfig("k", ["mine.config", "kasan"], folder)).toEqual({
      kind: "config",
      fragments: ["kasan"],
      files: [join(folder, "mine.config")],
    });
  });

  it("are all reported that are wrong, with the likely spelling", async () => {
    expect(await problems("kasan", "lockdepp", "gone.config", "kcsan")).toEqual([
      "lockdepp: is no fragment that vexlab ships, did you mean lockdep?",
      "kasan, kcsan: no kernel can have both",
      `${join(folder, "gone.config")}: does not exist`,
    ]);
    expect(await problems()).toEqual([": names no fragment"]);
  });

  it("exclude each other in both directions", () => {
    for (const [name, { excludes }] of Object.entries(shippedFragments))
      for (const other of excludes) expect(shippedFragments[other]?.excludes).toContain(name);
  });

  it("are the files that are shipped, each with a comment why", () => {
    const configs = fileURLToPath(new URL("../../../../lab/kernel/config", import.meta.url));
    const files = readdirSync(configs).map((file) => file.replace(/\.config$/, ""));
    expect(files.sort()).toEqual([...fragmentNames, "guest"].sort());
  });
});

it("names images after what they are made of", () => {
  const config = { kind: "config", fragments: ["kasan", "lockdep"], files: ["/a/My_Own.config"] };
  expect(customName("debian-12", config as never)).toBe("debian-12-kasan-lockdep-my-own");
  expect(customName("debian-12", { kind: "tree", folder: "/src/linux" })).toBe("debian-12-tree");
});
