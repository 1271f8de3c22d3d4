import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseManifest } from "../../../../lab/config/manifest.ts";
import { moduleName, moduleOrder } from "../../../../lab/run/moduleOrder.ts";

const built = (modules: Record<string, string[]>) => ({
  kernelRelease: "6.1.0",
  artefacts: Object.entries(modules).map(([path, depends]) => ({
    ...{ path, sha256: "0".repeat(64), bytes: 1, depends },
  })),
});
const dkms = (load = "{}") => parseManifest(`{name: a, module: {dkms: dkms.conf}, load: ${load}}`);

describe("the order of loading", () => {
  it("is that of who needs whom; what is not built is the kernel's", () => {
    const build = built({
      "b/tp-smapi.ko": ["thinkpad_ec", "dm-mod"],
      "thinkpad_ec.ko": [],
      "hdaps.ko": ["thinkpad_ec", "dm-mod", "videodev"],
    });
    expect(moduleOrder(dkms(), build)).toEqual({
      requires: ["dm-mod", "videodev"],
      files: ["thinkpad_ec.ko", "b/tp-smapi.ko", "hdaps.ko"],
    });
  });

  it("begins with what the manifest wants, and takes in what that needs", () => {
    const manifest = parseManifest(
      "{name: a, module: {folder: k, artefacts: [a.ko, my-b.ko, c.ko]}, load: {modules: [c.ko, a.ko], requires: [first]}}",
    );
    const build = built({
      "k/a.ko": [],
      "k/my-b.ko": ["crc32"],
      "k/c.ko": ["my_b"],
      "tool.ko": [],
    });
    expect(moduleOrder(manifest, build)).toEqual({
      requires: ["first", "crc32"],
      files: ["my-b.ko", "c.ko", "a.ko"],
    });
  });

  it("refuses parameters of a module that the kernel's dkms.conf does not make", () => {
    const manifest = dkms("{parameters: {b.ko: {x: 1}}}");
    expect(() => moduleOrder(manifest, built({ "a.ko": [] }))).toThrow(
      /load\.parameters\.b\.ko: no such module is loaded on 6\.1\.0; allowed: a\.ko/,
    );
  });

  it("has each module once, after all that it needs, whatever the order they are built in", () => {
    const names = ["a", "b-b", "c", "d_d", "e"];
    const graph = fc.tuple(
      fc.shuffledSubarray(names, { minLength: 1 }),
      fc.array(fc.subarray(names), { minLength: 5, maxLength: 5 }),
    );
    fc.assert(
      fc.property(graph, ([order, needs]) => {
        // Only earlier names are needed: no circles.
        const of = (name: string): string[] => {
          const at = names.indexOf(name);
          return (needs[at] ?? []).filter((other) => names.indexOf(other) < at);
        };
        const build = built(Object.fromEntries(order.map((name) => [`${name}.ko`, of(name)])));
        const { files } = moduleOrder(dkms(), build);
        expect(files.toSorted()).toEqual(order.map((name) => `${name}.ko`).toSorted());
        for (const name of order)
          for (const needed of of(name).filter((each) => order.includes(each)))
            expect(files.indexOf(`${needed}.ko`)).toBeLessThan(files.indexOf(`${name}.ko`));
      }),
    );
  });

  it("ends for damaged files that need each other", () => {
    const { files } = moduleOrder(dkms(), built({ "a.ko": ["b"], "b.ko": ["a"] }));
    expect(files.toSorted()).toEqual(["a.ko", "b.ko"]);
  });

  it("knows modules by the kernel's names", () => {
    expect(moduleName("drivers/my-mod.ko")).toBe("my_mod");
  });
});
