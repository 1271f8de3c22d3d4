/** examples/vexfs/tests/ktap.sh, run by the host's own shell: which cases run, and how they end. */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { casesOf, problemsOf } from "../../../../../lab/run/cases.ts";
import { parseKtap } from "../../../../../lab/run/ktap.ts";
import { inRandomOrder } from "../../../../../lab/run/order.ts";

const library = fileURLToPath(
  new URL("../../../../../examples/vexfs/tests/ktap.sh", import.meta.url),
);

/** As in the guest: what a case has started is then known whatever becomes of its parents. */
const canMakeGroups = await (async () => {
  const mounts = await readFile("/proc/mounts", "utf8");
  const at = /^\S+ (\S+) cgroup2 /m.exec(mounts)?.[1];
  const own = /^0::(.*)$/m.exec(await readFile("/proc/self/cgroup", "utf8"))?.[1] ?? "";
  if (at === undefined) return false;
  const group = join(at, own, `vexlab-test-${process.pid}`);
  const made = await mkdir(group).then(
    () => true,
    () => false,
  );
  if (made) await rmdir(group);
  return made;
})();

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-ktap-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function run(script: string, env: Record<string, string> = {}) {
  const file = join(folder, "suite.sh");
  await writeFile(file, `#!/bin/sh\n. ${library}\n${script}\nktap_run\n`);
  await chmod(file, 0o755);
  const { stdout, stderr, exitCode } = await execa(file, [], {
    env: { TMPDIR: folder, ...env },
    reject: false,
    timeout: 9_000,
  });
  const document = parseKtap(`${stdout}\n`);
  const cases = casesOf(document);
  return {
    ...{ stdout, stderr, exitCode, cases, problems: problemsOf(document) },
    outcomes: cases.map(({ name, outcome }) => `${outcome} ${name}`),
  };
}

const three = `
good() { true; }
bad() { echo "what it said"; false; echo "not reached"; }
absent() { skip "no disk"; }
ktap_case "good (x/y) holds" good quick
ktap_case "bad holds" bad quick slow
ktap_case "absent holds" absent slow`;

describe("cases", () => {
  it("pass, fail with what they printed, and are skipped with a reason", async () => {
    const { outcomes, problems, cases, exitCode, stderr } = await run(three);
    expect({ outcomes, problems, exitCode, stderr }).toEqual({
      outcomes: ["passed good (x/y) holds", "failed bad holds", "skipped absent holds"],
      problems: [],
      exitCode: 1,
      stderr: "",
    });
    expect(cases[1]).toMatchObject({ diagnostics: ["what it said"], tags: ["quick", "slow"] });
    expect(cases[2]?.directive).toBe("SKIP no disk");
  });

  it("fail when what comes after them fails, and are told what came before them", async () => {
    const { outcomes } = await run(`
before() { mark=set; }
holds() { [ "$mark" = set ]; }
tidy() { [ "$mark" = set ] && false; }
ktap_case "first" holds
ktap_before_each before
ktap_after_each tidy`);
    expect(outcomes).toEqual(["failed first"]);
  });

  it("tell numbers with their units, also when they fail", async () => {
    const { cases } = await run(`
measures() { ktap_measure speed 12.5 "MB/s"; ktap_measure count 3 files; false; }
ktap_case "measures" measures`);
    expect(cases[0]?.measures).toEqual([
      { name: "speed", value: 12.5, unit: "MB/s" },
      { name: "count", value: 3, unit: "files" },
    ]);
  });
});

describe("a time limit", () => {
  it("ends a case with everything that it has started, and the next one runs", async () => {
    const number = `7${process.pid}.25`;
    const { outcomes, cases, exitCode } = await run(`
hangs() { (sleep ${number} & sleep ${number}); }
good() { true; }
ktap_case -t 1 "hangs" hangs
ktap_case "good" good`);
    expect(outcomes).toEqual(["timedOut hangs", "passed good"]);
    expect(exitCode).toBe(1);
    expect(cases[0]?.diagnostics.join()).toMatch(/^exceeded its time limit of 1 s: ended with all/);
    const left = await execa("pgrep", ["-f", `sleep ${number}`], { reject: false });
    expect(left.stdout).toBe("");
  });

  it.skipIf(!canMakeGroups)("or not, what a case leaves running is ended", async () => {
    const number = `5${process.pid}.75`;
    const { outcomes } = await run(`
leaves() { setsid sleep ${number} & }
good() { ! pgrep -f "slee[p] ${number}"; }
ktap_case "leaves" leaves
ktap_case "good" good`);
    expect(outcomes).toEqual(["passed leaves", "passed good"]);
  });

  it("holds for what comes after a case, too", async () => {
    const { outcomes } = await run(
      `good() { true; }
hangs() { sleep 8; }
ktap_case "good" good
ktap_after_each hangs`,
      { VEXLAB_CASE_TIMEOUT: "3" },
    );
    expect(outcomes).toEqual(["timedOut good"]);
  });

  it("that leaves vexlab no time to see the end is a mistake of the suite", async () => {
    const { stdout, exitCode } = await run(`good() { true; }\nktap_case -t 50 "good" good`, {
      VEXLAB_CASE_TIMEOUT: "60",
    });
    expect(stdout).toBe(
      'Bail out! case "good" may take 50 s, a caseTimeout of 60 s leaves it 40 s',
    );
    expect(exitCode).toBe(1);
  });

  it("does not make many short cases slow", async () => {
    const cases = Array.from({ length: 30 }, (_, index) => `ktap_case "case ${index}" good`);
    const began = performance.now();
    const { outcomes } = await run(`good() { true; }\n${cases.join("\n")}`);
    expect(outcomes.length).toBe(30);
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});

describe("a suite that is ended", () => {
  it("ends its case and tidies up", async () => {
    const number = `6${process.pid}.5`;
    const { stdout } = await run(`
hangs() { echo $$ >${folder}/pid; (sleep 0.3; kill $$) & sleep ${number}; }
tidy() { touch ${folder}/tidied; }
ktap_case "hangs" hangs
ktap_after_each tidy`);
    expect(stdout).toBe("KTAP version 1\n1..1\n# RUN hangs");
    const left = await execa("pgrep", ["-f", `sleep ${number}`], { reject: false });
    expect(left.stdout).toBe("");
    expect((await readdir(folder)).toSorted()).toEqual(["pid", "suite.sh", "tidied"]);
  });
});

describe("the chosen cases", () => {
  it.each([
    [{ VEXLAB_CASES: "bad*\ngood (?/y) holds" }, ["passed good (x/y) holds", "failed bad holds"]],
    [{ VEXLAB_TAGS: "slow io" }, ["failed bad holds", "skipped absent holds"]],
    [{ VEXLAB_CASES: "*t holds", VEXLAB_TAGS: "slow" }, ["skipped absent holds"]],
    [{ VEXLAB_CASES: "holds" }, []],
    [{ VEXLAB_TAGS: "slo" }, []],
  ])("%j", async (env, expected) => {
    const { outcomes, problems, stdout } = await run(three, env);
    expect(outcomes).toEqual(expected);
    expect(problems).toEqual([]);
    expect(stdout).toContain(`\n# selected: ${expected.length} of 3\n`);
  });

  it("come in the order that the seed decides, the same as for vexlab", async () => {
    const names = ["one", "two / three", "four *", "five", "six and  seven"];
    const script = `good() { true; }\n${names.map((name) => `ktap_case "${name}" good`).join("\n")}`;
    for (const seed of [0, 1, 4_294_967_295]) {
      const { cases } = await run(script, { VEXLAB_SEED: `${seed}` });
      const expected = inRandomOrder(
        names.map((name) => ({ name })),
        seed,
      );
      expect(cases.map(({ name }) => name)).toEqual(expected.map(({ name }) => name));
    }
  });

  it("none at all without a choice is a faulty suite", async () => {
    expect((await run("")).problems).toEqual(["the plan announces no case: 1..0 without SKIP"]);
  });
});
