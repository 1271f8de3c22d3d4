import { describe, expect, it } from "vitest";
import { knownResources, removalOfStrays, volumePaths } from "../../../toolchain/strays.ts";

const folder = "/c/.vexlab/stacks/dev";
const domain = { uuid: "d1", xml: `<source path='${folder}/console.log'/>` };
const pool = {
  uuid: "p1",
  xml: `<path>${folder}/pool</path>`,
  volumes: [`${folder}/pool/root`, `${folder}/pool/test-disk`],
};
const state = (...resources: { type: string; id?: string }[]): string =>
  JSON.stringify({ checkpoint: { latest: { resources } } });

describe("what Pulumi's state knows", () => {
  it("is nothing without a state", () => {
    const nothing = { domains: [], pools: [], volumes: [] };
    expect(knownResources(undefined)).toEqual(nothing);
    expect(knownResources(JSON.stringify({ checkpoint: { latest: null } }))).toEqual(nothing);
  });

  it("is the domains, pools and volumes", () => {
    const text = state(
      { type: "pulumi:pulumi:Stack" },
      { type: "libvirt:index/domain:Domain", id: "d1" },
      { type: "libvirt:index/pool:Pool", id: "p1" },
      { type: "libvirt:index/volume:Volume", id: "/p/root" },
      { type: "libvirt:index/volume:Volume", id: "/p/test" },
    );
    expect(knownResources(text)).toEqual({
      domains: ["d1"],
      pools: ["p1"],
      volumes: ["/p/root", "/p/test"],
    });
  });
});

it("what Pulumi has imported is known, too, though its state is spelt otherwise then", () => {
  const resources = [{ type: "libvirt:index/pool:Pool", id: "p1" }];
  const imported = JSON.stringify({
    version: 3,
    checkpoint: { Stack: "ci", Latest: { resources } },
  });
  expect(knownResources(imported).pools).toEqual(["p1"]);
});

describe("what is removed", () => {
  it("is nothing of what is known", () => {
    const known = { domains: ["d1"], pools: ["p1"], volumes: pool.volumes };
    expect(removalOfStrays({ domain, pool }, known, folder)).toEqual([]);
  });

  it("is the domain before the volumes before the pool, of a stack that the state forgot", () => {
    const known = { domains: [], pools: [], volumes: [] };
    expect(removalOfStrays({ domain, pool }, known, folder).map(([verb]) => verb)).toEqual([
      "destroy",
      "undefine",
      "vol-delete",
      "vol-delete",
      "pool-destroy",
      "pool-undefine",
    ]);
  });

  it("is nothing of another checkout's, whose stack has the same name", () => {
    const known = { domains: [], pools: [], volumes: [] };
    expect(removalOfStrays({ domain, pool }, known, "/other/.vexlab/stacks/dev")).toEqual([]);
    expect(removalOfStrays({ domain, pool }, known, "/c/.vexlab/stacks/de")).toEqual([]);
  });
});

it("finds the paths in virsh's table", () => {
  const table = " root         /c/my pool/root\n test-disk    /c/my pool/test-disk   \n\n";
  expect(volumePaths(table)).toEqual(["/c/my pool/root", "/c/my pool/test-disk"]);
});
