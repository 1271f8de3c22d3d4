import { readdir, readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { fits, parseMutant } from "../../mutants/mutant.ts";

const header = `kind: missing unlock
smoke: file-system/files are written
caught-by: file-system/* full disk *
caught-by: exercisers/a/b

The lock is kept
on the error path.
`;
const diff = `
--- a/examples/vexfs/kernel/map.c
+++ b/examples/vexfs/kernel/map.c
@@ -1 +1 @@
-smoke: x
+kind: y
`;

describe("a mutant's patch", () => {
  it("has a header and a diff", () => {
    expect(parseMutant("map", header + diff)).toEqual({
      name: "map",
      kind: "missing unlock",
      smoke: { suite: "file-system", name: "files are written" },
      caughtBy: [
        { suite: "file-system", name: "* full disk *" },
        { suite: "exercisers", name: "a/b" },
      ],
      effect: "The lock is kept on the error path.",
      file: "examples/vexfs/kernel/map.c",
      patch: header + diff,
    });
  });

  it.each<[string, string, RegExp]>([
    ["no kind", header.replace(/^kind.*\n/, "") + diff, /^mutant map: one line "kind: …"/],
    ["two smoke tests", `smoke: a/b\n${header}${diff}`, /one line "smoke: …"/],
    [
      "a smoke test without a suite",
      header.replace("file-system/files", "files") + diff,
      /"files are written" is not SUITE\/CASE/,
    ],
    [
      "nothing that catches it",
      header.replace(/^caught-by.*\n/gm, "") + diff,
      /"caught-by: …" is wanted/,
    ],
    [
      "a smoke test that is to catch it",
      header.replace("* full disk *", "*") + diff,
      /must pass under the mutant/,
    ],
    ["no effect", header.replace(/^The[^]*/m, "") + diff, /no sentence says/],
    ["no diff", header, /not of one file/],
    ["two files", header + diff + diff, /not of one file/],
    [
      "a file of the tests",
      header + diff.replaceAll("kernel/map.c", "tests/ktap.sh"),
      /not of one file/,
    ],
    [
      "a test of the crates",
      header + diff.replaceAll("kernel/map.c", "rust/vexctl/tests/check.rs"),
      /not of one file/,
    ],
  ])("is refused: %s", (_, text, fault) => {
    expect(() => parseMutant("map", text)).toThrow(fault);
  });

  it("is named with all of its faults", () => {
    expect(() => parseMutant("empty", "")).toThrow(/empty: .*kind.*smoke.*caught-by.*one file/);
  });
});

describe("a case", () => {
  it("fits a pattern of its suite", () => {
    const pattern = { suite: "vectors", name: "exact * by L2 *" };
    expect(fits(pattern, { suite: "vectors", name: "exact search by L2 equals" })).toBe(true);
    expect(fits(pattern, { suite: "ffi", name: "exact search by L2 equals" })).toBe(false);
    expect(fits(pattern, { suite: "vectors", name: "exact search" })).toBe(false);
  });
});

describe("the mutants of the example", async () => {
  const folder = new URL("../../mutants/", import.meta.url);
  const example = new URL("../../../examples/vexfs/", import.meta.url);
  const files = (await readdir(folder)).filter((file) => file.endsWith(".patch"));
  const manifest = parse(await readFile(new URL("vexlab.yaml", example), "utf8")) as {
    suites: { name: string; command: string[] }[];
  };
  /** The names of a suite's cases; those of the compilers and linters are in a file of their own. */
  const casesOf = async (suite: string): Promise<string[]> => {
    const found = manifest.suites.find(({ name }) => name === suite);
    const scripts = [
      ...(found?.command ?? []),
      ...(suite === "build-system" ? ["tests/checks.sh"] : []),
    ];
    const texts = await Promise.all(
      scripts.map((script) => readFile(new URL(script, example), "utf8")),
    );
    return texts.flatMap((text) =>
      [...text.matchAll(/^\s*ktap_case (?:-t \S+ )?"([^"]+)"/gm)].map(([, name = ""]) => name),
    );
  };

  it("are at least 26", () => {
    expect(files.length).toBeGreaterThanOrEqual(26);
  });

  it.each(files)("%s names cases that are there", async (file) => {
    const mutant = parseMutant(file, await readFile(new URL(file, folder), "utf8"));
    expect(await casesOf(mutant.smoke.suite)).toContain(mutant.smoke.name);
    for (const pattern of mutant.caughtBy) {
      const { suite } = pattern;
      const names = await casesOf(suite);
      const isThere = names.some((name) => fits(pattern, { suite, name }));
      expect(isThere, `${suite}/${pattern.name}`).toBe(true);
    }
  });
});
