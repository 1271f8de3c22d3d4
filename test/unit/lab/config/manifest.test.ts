import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { ConfigurationError, type Fault } from "../../../../lab/config/errors.ts";
import {
  manifestJsonSchema,
  parseManifest,
  readManifest,
} from "../../../../lab/config/manifest.ts";

const least = { name: "hello", module: { artefacts: ["hello.ko"] } };

function faultsOf(text: string): readonly Fault[] {
  try {
    parseManifest(text);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.faults;
    throw error;
  }
  return [];
}
const faultsWith = (more: object): readonly Fault[] => faultsOf(stringify({ ...least, ...more }));

describe("a right manifest", () => {
  it("gets its defaults", () => {
    expect(parseManifest(stringify(least))).toEqual({
      name: "hello",
      module: { folder: ".", make: [], artefacts: ["hello.ko"] },
      load: { modules: ["hello.ko"], parameters: {}, requires: [] },
      tools: [],
      sources: { include: [], exclude: [] },
      suites: [],
    });
  });

  it("has durations in milliseconds and plain parameters", () => {
    const manifest = parseManifest(
      stringify({
        ...least,
        load: { parameters: { "hello.ko": { debug: 1, fast: true, name: "x y" } } },
        suites: [{ name: "all", command: ["tests/all.sh"], caseTimeout: "90s" }],
      }),
    );
    expect(manifest.load.parameters).toEqual({
      "hello.ko": { debug: "1", fast: "Y", name: "x y" },
    });
    expect(manifest.suites).toEqual([
      { name: "all", command: ["tests/all.sh"], caseTimeout: 90_000, timeout: 600_000, load: true },
    ]);
  });

  it("has tidy paths", () => {
    const { module } = parseManifest(
      stringify({ ...least, module: { folder: "./src//kernel/", artefacts: ["./hello.ko"] } }),
    );
    expect(module).toMatchObject({ folder: "src/kernel", artefacts: ["hello.ko"] });
  });
});

describe("a wrong manifest", () => {
  it("is reported with every fault, its line and what is allowed", () => {
    const faults = faultsOf(
      [
        "name: Hello World",
        "modul: 3",
        "module: {artefacts: [../a.ko, /b.ko], folder: ../x, make: [M=/]}",
        "suites:",
        " - name: a",
        "   comand: [x]",
        "   timeout: 60",
        " - {name: b, command: []}",
      ].join("\n"),
    );
    expect(faults.map(({ key }) => key).sort()).toEqual([
      "modul",
      "module.artefacts[0]",
      "module.artefacts[1]",
      "module.folder",
      "module.make[0]",
      "name",
      "suites[0].comand",
      "suites[0].command",
      "suites[0].timeout",
      "suites[1].command",
    ]);
    expect(faults.find(({ key }) => key === "suites[0].comand")).toMatchObject({
      problem: "unknown key, did you mean command? (line 6)",
      allowed: "name, command, caseTimeout, timeout, load",
    });
    expect(faults.find(({ key }) => key === "suites[0].timeout")?.allowed).toContain("60s");
  });

  it.each([
    ["module missing", { module: undefined }, "module"],
    ["no artefacts", { module: { artefacts: [] } }, "module.artefacts"],
    ["artefacts missing", { module: {} }, "module.artefacts"],
    ["a dkms.conf elsewhere", { module: { dkms: "../dkms.conf" } }, "module.dkms"],
    ["dkms and make", { module: { dkms: "dkms.conf", make: ["W=1"] } }, "module.make"],
    [
      "loads what is not among a package's chosen modules",
      { module: { dkms: "dkms.conf", artefacts: ["a.ko"] }, load: { modules: ["b.ko"] } },
      "load.modules[0]",
    ],
    ["an artefact that is no module", { module: { artefacts: ["a.o"] } }, "module.artefacts[0]"],
    [
      "make in another folder",
      { module: { make: ["-C/x"], artefacts: ["a.ko"] } },
      "module.make[0]",
    ],
    ["loads what isn't made", { load: { modules: ["b.ko"] } }, "load.modules[0]"],
    [
      "parameters of what isn't loaded",
      { load: { parameters: { "b.ko": {} } } },
      "load.parameters.b.ko",
    ],
    ["mkfs without device", { filesystem: { type: "x", mkfs: ["mkfs"] } }, "filesystem.mkfs"],
    [
      "two suites of one name",
      { suites: ["a", "a"].map((name) => ({ name, command: ["x"] })) },
      "suites[1].name",
    ],
    [
      "a tool's artefact outside",
      { tools: [{ name: "t", command: ["x"], artefacts: ["a/../../b"] }] },
      "tools[0].artefacts[0]",
    ],
    [
      "a tool for a suite that there isn't",
      { tools: [{ name: "t", command: ["x"], artefacts: ["a"], suites: ["none"] }] },
      "tools[0].suites[0]",
    ],
    [
      "a duration that is too long",
      { suites: [{ name: "a", command: ["x"], timeout: "25h" }] },
      "suites[0].timeout",
    ],
    ["not a list", { tools: "cargo" }, "tools"],
  ])("%s", (_what, more, key) => {
    expect(faultsWith(more).map((fault) => fault.key)).toEqual([key]);
  });

  it("that isn't YAML is reported with line and column", () => {
    expect(faultsOf("name: a\nmodule: [1\nb: 2\n")[0]?.key).toMatch(/^3:\d+$/);
    expect(faultsOf("name: a\nname: b\n")[0]?.key).toBe("2:1");
    expect(faultsOf("")[0]?.key).toBe("(the whole file)");
  });

  it("with endless aliases is refused", () => {
    const layers = Array.from({ length: 12 }, (_, i) =>
      i === 0 ? "a0: &a0 [x, x]" : `a${i}: &a${i} [${`*a${i - 1}, `.repeat(9)}*a${i - 1}]`,
    );
    expect(faultsOf(layers.join("\n"))).not.toEqual([]);
  });

  it("that is missing is a fault that names the file", async () => {
    const folder = await mkdtemp(join(tmpdir(), "manifest-"));
    await expect(readManifest(folder)).rejects.toThrow(/vexlab\.yaml: there is no such file/);
  });
});

it("no text makes the reader fail in another way", () => {
  const word = fc.constantFrom(
    ...["name", "module", "artefacts", "suites", "load", ":", "-", "[", "]", "{", "}", " ", "\n"],
    ...["\t", "&a", "*a", "<<", "!!binary", "!x", "'", '"', "|", ">", "%", "#", "\0", "__proto__"],
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(word, fc.string()), { maxLength: 40 }), (words) => {
      faultsOf(words.join(""));
    }),
    { numRuns: 500 },
  );
});

it("no document makes the schema fail in another way", () => {
  const json = fc.jsonValue({ maxDepth: 4 });
  const keys = ["name", "module", "load", "filesystem", "tools", "sources", "suites"];
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...keys), json), (document) => {
      const faults = faultsOf(JSON.stringify(document));
      for (const { key, problem, allowed } of faults) {
        expect([key, problem, allowed]).not.toContain("");
      }
    }),
    { numRuns: 300 },
  );
});

describe("the documentation", () => {
  it("shows a manifest that is right and has every key", async () => {
    const page = await readFile(new URL("../../../../docs/manifest.md", import.meta.url), "utf8");
    const examples = [...page.matchAll(/```yaml\n(.*?)```/gs)].map((match) => match[1] ?? "");
    expect(examples).toHaveLength(3);
    for (const example of examples) parseManifest(example);
    for (const key of keysOf(manifestJsonSchema())) {
      expect(examples.join("\n")).toMatch(new RegExp(`^[ -]*${key}:`, "m"));
    }
  });
});

/** Every property's name of a JSON schema, at any depth. */
function keysOf(schema: unknown): string[] {
  if (typeof schema !== "object" || schema === null) return [];
  const { properties = {}, items } = schema as { properties?: object; items?: unknown };
  const own = Object.keys(properties);
  return [...own, ...Object.values(properties).flatMap(keysOf), ...keysOf(items)];
}
