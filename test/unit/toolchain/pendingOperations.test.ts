import { describe, expect, it } from "vitest";
import {
  removalOf,
  splitPending,
  type PendingOperation,
} from "../../../toolchain/pendingOperations.ts";

function operation(
  type: string,
  resourceType: string,
  inputs: Record<string, unknown>,
): PendingOperation {
  return { type, resource: { urn: "urn:pulumi:dev::vexlab::x::y", type: resourceType, inputs } };
}

const state = (pending: unknown) => ({
  version: 3,
  deployment: {
    manifest: { magic: "m" },
    resources: [{ urn: "urn:a", outputs: { kept: [1, null] } }],
    pending_operations: pending,
  },
});

describe("an exported state", () => {
  it("is split into its pending operations and the rest, unchanged", () => {
    const pending = [operation("creating", "libvirt:index/pool:Pool", { name: "p" })];
    const split = splitPending(JSON.stringify(state(pending)));
    expect(split.pending).toEqual(pending);
    const { manifest, resources } = state([]).deployment;
    expect(JSON.parse(split.cleared)).toEqual({ version: 3, deployment: { manifest, resources } });
  });

  it.each([null, undefined, []])("without pending operations has none (%j)", (pending) => {
    expect(splitPending(JSON.stringify(state(pending))).pending).toEqual([]);
  });
});

describe("what an interrupted operation may have made", () => {
  it.each([
    [
      "libvirt:index/domain:Domain",
      [
        ["destroy", "--domain", "vexlab-dev"],
        ["undefine", "--domain", "vexlab-dev", "--snapshots-metadata"],
      ],
    ],
    [
      "libvirt:index/pool:Pool",
      [
        ["pool-destroy", "--pool", "vexlab-dev"],
        ["pool-undefine", "--pool", "vexlab-dev"],
      ],
    ],
    ["libvirt:index/volume:Volume", [["vol-delete", "--pool", "pool", "--vol", "vexlab-dev"]]],
    ["command:local:Command", []],
  ])("is removed: %s", (type, commands) => {
    expect(removalOf(operation("creating", type, { name: "vexlab-dev", pool: "pool" }))).toEqual(
      commands,
    );
  });

  it.each(["updating", "deleting", "reading"])("is left alone while %s", (type) => {
    const domain = operation(type, "libvirt:index/domain:Domain", { name: "vexlab-dev" });
    expect(removalOf(domain)).toEqual([]);
  });

  it("is left alone when its name isn't known", () => {
    expect(removalOf(operation("creating", "libvirt:index/pool:Pool", {}))).toEqual([]);
    const volume = operation("creating", "libvirt:index/volume:Volume", { name: "root" });
    expect(removalOf(volume)).toEqual([]);
  });
});
