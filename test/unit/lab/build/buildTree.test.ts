import { existsSync } from "node:fs";
import { link, mkdir, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { treeKey, withBuildTree, type BuildTree } from "../../../../lab/build/buildTree.ts";
import { parseManifest } from "../../../../lab/config/manifest.ts";
import { silentProgress } from "../../../../lab/report/progress.ts";
import { makeTree, manifest, manifestText } from "./tree.ts";

const key = "0123456789abcdef";
let trees = "";
let source = "";
let waits: string[] = [];

beforeEach(async () => {
  trees = join(await mkdtemp(join(tmpdir(), "trees-")), "trees");
  source = await makeTree({ "kernel/a.c": "int a;", "kernel/a.h": "", link: "-> kernel" });
  waits = [];
  return async () => {
    await rm(dirname(trees), { recursive: true });
    await rm(source, { recursive: true });
  };
});

const progress = { ...silentProgress, line: (text: string) => void waits.push(text) };
const use = <Result>(
  work: (tree: BuildTree, waited: boolean) => Promise<Result>,
  name = key,
): Promise<Result> => withBuildTree(trees, name, { progress, deadlineMs: 10_000 }, work);

/** Prepares the tree, lets a build leave these outputs, and keeps it. */
const build = (outputs: Readonly<Record<string, string>> = {}): Promise<unknown> =>
  use(async (tree) => {
    const before = await tree.prepare(source, manifest);
    for (const [path, content] of Object.entries(outputs)) {
      await mkdir(dirname(join(tree.folder, path)), { recursive: true });
      await writeFile(join(tree.folder, path), content);
    }
    await tree.keep();
    return before;
  });
const inTree = (path: string): string => join(trees, key, "tree", path);
const edit = (path: string, content: string): Promise<void> =>
  writeFile(join(source, path), content);

describe("a build tree", () => {
  it("says that it was removed, when it was", async () => {
    const removed = use(async (tree) => {
      await tree.prepare(source, manifest);
      await rm(dirname(tree.folder), { recursive: true });
      await tree.keep();
    });
    await expect(removed).rejects.toMatchObject({
      message: `${join(trees, key, "tree")} was removed while the module was built in it`,
      exitCode: 3,
    });
  });

  it("keeps the outputs and the times of sources that have not changed", async () => {
    expect(await build({ "kernel/a.o": "object" })).toBe("clean");
    const before = await stat(inTree("kernel/a.h"));
    await edit("kernel/a.c", "int b;");
    await utimes(join(source, "kernel/a.h"), 2_000_000_000, 2_000_000_000);
    expect(await build()).toEqual(["kernel/a.c"]);
    expect(await readFile(inTree("kernel/a.o"), "utf8")).toBe("object");
    expect(await readFile(inTree("kernel/a.c"), "utf8")).toBe("int b;");
    expect((await stat(inTree("kernel/a.h"))).mtimeMs).toBe(before.mtimeMs);
    expect((await stat(inTree("kernel/a.c"))).mtimeMs).toBeGreaterThan(
      (await stat(inTree("kernel/a.o"))).mtimeMs,
    );
  });

  it("writes what differs in its mode or was changed by a command", async () => {
    await build({ "kernel/a.h": "generated" });
    await rm(join(source, "kernel/a.c"));
    await writeFile(join(source, "kernel/a.c"), "int a;", { mode: 0o755 });
    expect(await build()).toEqual(["kernel/a.c", "kernel/a.h"]);
    expect((await stat(inTree("kernel/a.c"))).mode & 0o777).toBe(0o755);
    expect(await readFile(inTree("kernel/a.h"), "utf8")).toBe("");
  });

  it("takes a link that a command put in the place of a source for a change", async () => {
    await build();
    await rm(inTree("kernel/a.c"));
    const outside = join(dirname(trees), "outside");
    await writeFile(outside, "int a;");
    await symlink(outside, inTree("kernel/a.c"));
    expect(await build()).toEqual(["kernel/a.c"]);
    expect((await stat(inTree("kernel/a.c"))).ino).not.toBe((await stat(outside)).ino);
  });

  it("does not write through hard links of its sources", async () => {
    await build();
    await link(inTree("kernel/a.c"), inTree("kernel/copy.o"));
    await edit("kernel/a.c", "int b;");
    await build();
    expect(await readFile(inTree("kernel/copy.o"), "utf8")).toBe("int a;");
  });

  it("has none of the declared artefacts when a build begins", async () => {
    await build({ "kernel/hello.ko": "old", "bin/hi": "old", "kernel/hello.o": "" });
    await build();
    expect(await readdir(inTree("kernel"))).toEqual(["a.c", "a.h", "hello.o"]);
    expect(await readdir(inTree("bin"))).toEqual([]);
  });

  it.each([
    ["a source is gone", () => rm(join(source, "kernel/a.h"))],
    ["a source is new", () => edit("kernel/b.h", "")],
    [
      "a link leads elsewhere",
      async () => {
        await rm(join(source, "link"));
        await symlink("vexlab.yaml", join(source, "link"));
      },
    ],
    ["it was not kept", () => use((tree) => tree.prepare(source, manifest))],
    ["it was thrown away", () => use((tree) => tree.discard())],
    ["its record is cut off", () => writeFile(join(trees, key, "whole.json"), '{"format":1')],
    [
      "the host was booted since",
      async () => {
        const file = join(trees, key, "whole.json");
        const record = JSON.parse(await readFile(file, "utf8")) as object;
        await writeFile(file, JSON.stringify({ ...record, boot: "another" }));
      },
    ],
    ["its newest file is of the future", () => utimes(inTree("kernel/a.o"), 4e9, 4e9)],
  ])("is made anew when %s", async (_what, change) => {
    await build({ "kernel/a.o": "object" });
    await change();
    expect(await build()).toBe("clean");
    expect(existsSync(inTree("kernel/a.o"))).toBe(false);
  });

  it.each([
    ["sources", "kernel"],
    ["artefacts", "bin"],
  ])(
    "is made anew, and nothing outside changed, when the folder of %s is a link out of it",
    async (_what, folder) => {
      await build();
      const outside = join(dirname(trees), "outside");
      await mkdir(outside);
      for (const name of ["hi", "a.c"]) await writeFile(join(outside, name), "theirs");
      await rm(inTree(folder), { recursive: true, force: true });
      await symlink(outside, inTree(folder));
      await edit("kernel/a.c", "int b;");
      expect(await build()).toBe("clean");
      expect(await readFile(join(outside, "hi"), "utf8")).toBe("theirs");
      expect(await readFile(join(outside, "a.c"), "utf8")).toBe("theirs");
    },
  );

  it("is used by one at a time; the other is told whom it waits for", async () => {
    const order: string[] = [];
    let begun = (): void => undefined;
    const begins = new Promise<void>((resolve) => (begun = resolve));
    const first = use(async () => {
      begun();
      await expect.poll(() => waits.length).toBe(1);
      order.push("first");
    });
    await begins;
    await use((_tree, waited) => Promise.resolve(order.push(`second, waited: ${waited}`)));
    await first;
    expect(order).toEqual(["first", "second, waited: true"]);
    expect(waits).toEqual([expect.stringContaining(`waiting for process ${process.pid}, which`)]);
  });

  it("is forgotten when three others were used since, but not while it is in use", async () => {
    const keys = [1, 2, 3, 4, 5].map((n) => `${n}`.repeat(16));
    const [oldest = "", ...others] = keys;
    const keep = (name: string, at: number): Promise<void> =>
      use(async (tree) => {
        await tree.prepare(source, manifest);
        await tree.keep();
        await utimes(dirname(tree.folder), at, at);
      }, name);
    const kept = async (): Promise<string[]> =>
      (await readdir(trees)).filter((name) => !name.endsWith(".lock")).sort();
    await keep(oldest, 1);
    await use(async () => {
      for (const [at, name] of others.entries()) await keep(name, at + 2);
      expect(await kept()).toEqual([oldest, ...others.slice(1)]);
    }, oldest);
    // Its own end made it the last used.
    expect(await kept()).toEqual([oldest, ...others.slice(2)]);
  });

  it("clears what a killed build was throwing away", async () => {
    await mkdir(join(trees, ".discarded-999999999-0"), { recursive: true });
    await build();
    expect((await readdir(trees)).sort()).toEqual([key, `${key}.lock`]);
  });
});

describe("the key of a build tree", () => {
  const image = { id: "debian-12-0123", kernelRelease: "6.1.0" };
  const keyOf = (text: string): string => treeKey(image, parseManifest(text));

  it("is the same for other suites, loading and mkfs", () => {
    const more = `${manifestText}\nsuites: [{name: all, command: [tests/all.sh]}]\nload: {requires: [crc32c]}`;
    expect(keyOf(more)).toBe(keyOf(manifestText));
  });

  it("is another for another image, command, artefact or choice of sources", () => {
    const keys = [
      keyOf(manifestText),
      treeKey({ ...image, id: "debian-12-4567" }, manifest),
      keyOf(manifestText.replace("[make]", "[make, all]")),
      keyOf(manifestText.replace("bin/hi", "bin/ho")),
      keyOf(manifestText.replace("hello.ko]", "hello.ko], make: [W=1]")),
      keyOf(manifestText.replace("drafts/", "notes/")),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });
});
