import { chmod, mkdir, rm, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { hashSources, listSources } from "../../../../lab/build/sources.ts";
import { parseManifest } from "../../../../lab/config/manifest.ts";
import { makeTree, manifest, manifestText } from "./tree.ts";

const made: string[] = [];
async function tree(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await makeTree(files);
  made.push(folder);
  return folder;
}
afterAll(() => Promise.all(made.map((folder) => rm(folder, { recursive: true }))));

async function put(folder: string, path: string, content: string): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), content);
}
const paths = async (folder: string, by = manifest): Promise<string[]> =>
  (await listSources(folder, by)).map(({ path }) => path);

const sources = { "kernel/hello.c": "int x;", "kernel/Kbuild": "obj-m := hello.o", README: "" };

describe("the sources of a folder", () => {
  it("are its files, sorted, without what was built or excluded", async () => {
    const folder = await tree({
      ...sources,
      ...{ "kernel/hello.o": "", "kernel/hello.ko": "", "kernel/hello.mod": "" },
      ...{ "kernel/hello.mod.c": "", "kernel/.hello.o.cmd": "", "kernel/Module.symvers": "" },
      ...{ "kernel/modules.order": "", "rust/Cargo.toml": "", "rust/target/debug/x": "" },
      ...{ ".git/HEAD": "", "README~": "", "kernel/.hello.c.swp": "", "drafts/a": "" },
      ...{ "bin/hi": "", "bin/other": "", "tools/go.mod": "", "kernel/kept.o": "" },
      ...{ "driver/target/core.c": "" },
    });
    expect(await paths(folder)).toEqual([
      ...["README", "bin/other", "driver/target/core.c", "kernel/Kbuild", "kernel/hello.c"],
      ...["kernel/kept.o", "rust/Cargo.toml", "tools/go.mod", "vexlab.yaml"],
    ]);
  });

  it("are in the order of their bytes, not of a walk", async () => {
    const folder = await tree({ "a/x": "", "a.c": "", "a-b": "" });
    expect(await paths(folder)).toEqual(["a-b", "a.c", "a/x", "vexlab.yaml"]);
  });

  it("can be only those that are included", async () => {
    const only = parseManifest(
      manifestText.replace("sources: {", "sources: {include: [kernel/, '*.md'], "),
    );
    const folder = await tree({ ...sources, "docs/a.md": "", "docs/a.txt": "" });
    expect(await paths(folder, only)).toEqual([
      ...["docs/a.md", "kernel/Kbuild", "kernel/hello.c", "vexlab.yaml"],
    ]);
  });

  it("may be links inside of the folder and to nothing", async () => {
    const folder = await tree({ ...sources, "tests/all": "-> ../kernel", gone: "-> nothing" });
    expect(await paths(folder)).toEqual(expect.arrayContaining(["tests/all", "gone"]));
  });

  it("may not be links that leave the folder, also through other links; all are named", async () => {
    const folder = await tree({
      ...sources,
      absolute: "-> /etc/passwd",
      "absolute-to-nothing": "-> /no/such/file",
      up: "-> ../x",
      "a/b/down": "-> ../..",
      around: "-> a/b/down/../x",
    });
    await writeFile(join(dirname(folder), "x"), "");
    made.push(join(dirname(folder), "x"));
    await expect(listSources(folder, manifest)).rejects.toMatchObject({
      faults: ["absolute", "absolute-to-nothing", "around", "up"].map((key) => ({ key })),
    });
  });

  it("may not be links out of the folder unless they are excluded", async () => {
    const folder = await tree({ ...sources, "drafts/x": "-> /etc/passwd" });
    expect(await paths(folder)).not.toContain("drafts/x");
  });
});

describe("the hash of the sources", () => {
  const name = fc.stringMatching(/^[a-z]{1,3}\.[ch]$/);
  const path = fc.tuple(fc.constantFrom("", "k/", "k/l/"), name).map((parts) => parts.join(""));
  const files = fc.dictionary(path, fc.string(), { minKeys: 1, maxKeys: 6, noNullPrototype: true });

  it("does not depend on the order in which files were made, on times, or on build outputs", async () => {
    await fc.assert(
      fc.asyncProperty(files, async (content) => {
        const one = await tree(content);
        const other = await tree(Object.fromEntries(Object.entries(content).reverse()));
        await put(other, "k/built.ko", "x");
        await utimes(join(other, "vexlab.yaml"), 1, 1);
        expect(await hashSources(other, manifest)).toBe(await hashSources(one, manifest));
      }),
      { numRuns: 25 },
    );
  });

  it("changes with every content, path and mode", async () => {
    await fc.assert(
      fc.asyncProperty(files, fc.nat(), async (content, at) => {
        const [changed = "", text = ""] =
          Object.entries(content)[at % Object.keys(content).length] ?? [];
        const folder = await tree(content);
        const before = await hashSources(folder, manifest);
        const seen = new Set([before]);
        await put(folder, changed, `${text} `);
        seen.add(await hashSources(folder, manifest));
        await put(folder, changed, text);
        expect(await hashSources(folder, manifest)).toBe(before);
        await chmod(join(folder, changed), 0o755);
        seen.add(await hashSources(folder, manifest));
        await rm(join(folder, changed));
        seen.add(await hashSources(folder, manifest));
        await put(folder, `moved/${changed}`, text);
        seen.add(await hashSources(folder, manifest));
        expect(seen.size).toBe(5);
      }),
      { numRuns: 15 },
    );
  });

  it("changes with the target of a link", async () => {
    const one = await tree({ ...sources, link: "-> README" });
    const other = await tree({ ...sources, link: "-> kernel" });
    expect(await hashSources(one, manifest)).not.toBe(await hashSources(other, manifest));
  });

  it("does not take the end of a path for the beginning of what is there", async () => {
    const one = await tree({ a: "-> bc" });
    const other = await tree({ ab: "-> c" });
    expect(await hashSources(one, manifest)).not.toBe(await hashSources(other, manifest));
  });
});
