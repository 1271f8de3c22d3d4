import { describe, expect, it } from "vitest";

import { differences } from "../../../../toolchain/command-plugin/diff.ts";
import {
  archiveSignature,
  assetSignature,
  secretSignature,
  signatureKey,
  type PropertyValue,
} from "../../../../toolchain/command-plugin/propertyValue.ts";

const secret = (value: PropertyValue): PropertyValue => ({
  [signatureKey]: secretSignature,
  value,
});
const asset = (path: string, hash: string): PropertyValue => ({
  [signatureKey]: assetSignature,
  path,
  hash,
});

describe("differences", () => {
  it("finds none between equal inputs, in whatever order their keys are", () => {
    const inputs = { create: "a", environment: { A: "1", B: "2" }, triggers: [1, { x: [true] }] };
    const reordered = {
      triggers: [1, { x: [true] }],
      environment: { B: "2", A: "1" },
      create: "a",
    };
    expect(differences(inputs, reordered)).toEqual([]);
  });

  it("takes a null for an absent input", () => {
    expect(differences({ create: "a", dir: null }, { create: "a", stdin: null })).toEqual([]);
  });

  it.each([
    ["create", { create: "a" }, { create: "b" }, "update"],
    ["stdin", {}, { stdin: "b" }, "add"],
    ["dir", { dir: "/" }, {}, "delete"],
    [
      "environment.PATH",
      { environment: { PATH: "a", B: "1" } },
      { environment: { PATH: "b", B: "1" } },
      "update",
    ],
    ['environment["a.b"]', { environment: {} }, { environment: { "a.b": "1" } }, "add"],
    ["interpreter[1]", { interpreter: ["sh"] }, { interpreter: ["sh", "-c"] }, "add"],
  ] as const)("updates for %s", (path, olds, news, kind) => {
    expect(differences(structuredClone(olds) as never, structuredClone(news) as never)).toEqual([
      { path, kind, replaces: false },
    ]);
  });

  it("replaces for triggers, whole or by element", () => {
    expect(differences({ triggers: [1, "a"] }, { triggers: [1, "b"] })).toEqual([
      { path: "triggers[1]", kind: "update", replaces: true },
    ]);
    expect(differences({}, { triggers: [] })).toEqual([
      { path: "triggers", kind: "add", replaces: true },
    ]);
  });

  it("does not take an input for a trigger by its name's beginning", () => {
    expect(differences({}, { triggersOfMine: 1 })).toMatchObject([{ replaces: false }]);
  });

  it("sees a secret as one value that a plain one doesn't equal", () => {
    const old = { environment: { TOKEN: secret("a") } };
    expect(differences(old, { environment: { TOKEN: secret("a") } })).toEqual([]);
    expect(differences(old, { environment: { TOKEN: secret("b") } })).toMatchObject([
      { path: "environment.TOKEN" },
    ]);
    expect(differences(old, { environment: { TOKEN: "a" } })).toHaveLength(1);
  });

  it("compares assets and archives by content", () => {
    expect(differences({ triggers: [asset("/a", "1")] }, { triggers: [asset("/b", "1")] })).toEqual(
      [],
    );
    expect(
      differences({ triggers: [asset("/a", "1")] }, { triggers: [asset("/a", "2")] }),
    ).toHaveLength(1);
    const archive = { [signatureKey]: archiveSignature, hash: "1", path: "/a" };
    expect(differences({ triggers: [asset("/a", "1")] }, { triggers: [archive] })).toHaveLength(1);
  });
});
