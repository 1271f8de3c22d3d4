import { describe, expect, it } from "vitest";
import { parseManifest } from "../../../../lab/config/manifest.ts";
import { moduleName } from "../../../../lab/run/moduleOrder.ts";
import { planRun } from "../../../../lab/run/plan.ts";

const manifest = parseManifest(`
name: two
module: { folder: kernel, artefacts: [core-part.ko, extra.ko] }
load:
  modules: [extra.ko, core-part.ko]
  parameters: { core-part.ko: { debug: true, label: "two words", empty: "" } }
  requires: [videodev]
filesystem: { type: twofs }
suites:
  - { name: a, command: [tests/a.sh, -v], caseTimeout: 5s, timeout: 1m }
  - { name: b, command: [tests/b.sh], load: false }
`);
const build = { folder: "/b/tree", kernelRelease: "6.1.0", artefacts: [] };

describe("the plan of a run", () => {
  it("follows the manifest", () => {
    const remote = "/var/lib/vexlab/run/r1";
    expect(planRun("r1", manifest, build)).toEqual({
      runId: "r1",
      localFolder: "/b/tree",
      remoteFolder: remote,
      kernelRelease: "6.1.0",
      requires: ["videodev"],
      modules: [
        { file: `${remote}/kernel/extra.ko`, name: "extra", parameters: [] },
        {
          file: `${remote}/kernel/core-part.ko`,
          name: "core_part",
          parameters: ["debug=Y", 'label="two words"', 'empty=""'],
        },
      ],
      filesystemType: "twofs",
      suites: [
        {
          name: "a",
          command: ["tests/a.sh", "-v"],
          caseTimeoutMs: 5e3,
          timeoutMs: 6e4,
          load: true,
        },
        { name: "b", command: ["tests/b.sh"], caseTimeoutMs: 6e4, timeoutMs: 6e5, load: false },
      ],
      selection: { suites: [], cases: [], tags: [] },
      environment: {
        VEXLAB_SOURCE: remote,
        VEXLAB_TEST_DISK: "/dev/disk/by-id/virtio-vexlab-test",
        VEXLAB_MODULES: `${remote}/kernel`,
        VEXLAB_LOAD: `${remote}/kernel/extra.ko\n${remote}/kernel/core-part.ko debug=Y label="two words" empty=""`,
        KERNELRELEASE: "6.1.0",
      },
    });
  });

  const only = (...suites: string[]) => ({ selection: { suites, cases: [], tags: [] } });

  it("takes only the suites that were asked for and refuses unknown ones, all at once", () => {
    const names = (...patterns: string[]): string[] =>
      planRun("r", manifest, build, only(...patterns)).suites.map((suite) => suite.name);
    expect(names("b")).toEqual(["b"]);
    expect(names("[b-z]", "?")).toEqual(["a", "b"]);
    expect(() => planRun("r", manifest, build, only("b", "ab", "d*"))).toThrow(
      /suite = ab: .*did you mean a\?; allowed: a, b\n.*suite = d\*: matches no suite/,
    );
  });

  it("tells suites which cases are wanted, and in which order", () => {
    const selection = { suites: [], cases: ["struct*", "a b"], tags: ["slow", "io"] };
    const { environment, suites } = planRun("r", manifest, build, { selection, seed: 7 });
    expect(environment).toMatchObject({
      VEXLAB_CASES: "struct*\na b",
      VEXLAB_TAGS: "slow io",
      VEXLAB_SEED: "7",
    });
    expect(suites.map(({ name }) => name).toSorted()).toEqual(["a", "b"]);
  });

  it("needs the tools that its suites need, and no others", () => {
    const tools = `tools:
  - { name: ctl, folder: ctl, command: [make], artefacts: [out/ctl] }
  - { name: lint, command: [tests/lint], artefacts: [lint.ktap], suites: [b] }
`;
    const withTools = parseManifest(
      `name: two\nmodule: { artefacts: [a.ko] }\n${tools}suites: [{ name: a, command: [a] }, { name: b, command: [b] }]\n`,
    );
    const artefact = { path: "ctl/out/ctl", sha256: "", bytes: 1 };
    const narrow = { ...build, artefacts: [artefact] };
    expect(planRun("r", withTools, narrow, only("a")).suites.length).toBe(1);
    expect(() => planRun("r", withTools, narrow)).toThrow(/made without .*: lint$/);
    expect(() => planRun("r", withTools, build, only("a"))).toThrow(/made without .*: ctl$/);
  });

  it("names a module as the kernel does", () => {
    expect(moduleName("drivers/my-mod.ko")).toBe("my_mod");
  });
});
