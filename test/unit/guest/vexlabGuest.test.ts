/**
 * guest/bin/vexlab-guest, run on the host in a scratch folder: make, insmod, rmmod and sudo are small
 * programs of the test's own, everything else is real.
 */
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { inRandomOrder } from "../../../lab/run/order.ts";

const program = fileURLToPath(new URL("../../../guest/bin/vexlab-guest", import.meta.url));

let folder: string;
let source: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-guest-"));
  source = join(folder, "source");
  // A stand-in for Kbuild: makes what the source asks for.
  await put(
    "bin/make",
    `#!/bin/sh\nfor word; do case $word in M=*) cd "\${word#M=}";; esac; done\nsh ./build.sh "$@"\n`,
  );
  await put(
    "bin/insmod",
    `#!/bin/sh\necho "insmod $*" >>${folder}/loaded\n[ ! -e ${folder}/refuse ] || { echo "insmod: ERROR: Unknown symbol"; exit 1; }\n`,
  );
  await put("bin/rmmod", "#!/bin/sh\nexit 0\n");
  await put("bin/modprobe", `#!/bin/sh\necho "modprobe $*" >>${folder}/loaded\n`);
  await put("bin/sudo", '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift; exec "$@"\n');
  await put("source/kernel/build.sh", "echo compiling; touch demo.ko\n");
  await put("source/kernel/stale.o", "made on the host\n");
  await put("source/target/debug", "excluded\n");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function put(path: string, text: string): Promise<void> {
  const file = join(folder, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
  await chmod(file, 0o755);
}

const manifest = (suites: string, more = ""): string => `
name: demo
module: {folder: kernel, make: [CONFIG_DEMO=y], artefacts: [demo.ko]}
load: {parameters: {demo.ko: {debug: true, name: "two words"}}, requires: [videodev]}
sources: {exclude: [target/]}
${more}
suites:
${suites}
`;

async function guest(
  ...words: string[]
): Promise<{ code: number | undefined; out: string; err: string; ms: number }> {
  const began = performance.now();
  const { exitCode, stdout, stderr } = await execa(
    "python3",
    [
      program,
      ...["--source", source, "--work", join(folder, "work")],
      ...["--results", join(folder, "results"), ...words],
    ],
    {
      env: {
        PATH: `${join(folder, "bin")}:${process.env["PATH"] ?? ""}`,
        PYTHONDONTWRITEBYTECODE: "1",
        TMPDIR: folder,
      },
      reject: false,
    },
  );
  return { code: exitCode, out: stdout, err: stderr, ms: performance.now() - began };
}

const suite = (name: string, script: string): Promise<void> =>
  put(`source/tests/${name}.sh`, `#!/bin/sh\n${script}\n`);

describe("building", () => {
  test("a fresh copy without outputs and excluded files; the source stays as it is", async () => {
    await put("source/vexlab.yaml", manifest(" []"));
    const before = await readdir(source, { recursive: true });
    const { code, out } = await guest("build-kernel");
    expect(code).toBe(0);
    expect(out).toMatch(/\$ make -j\d+ -C \/lib\/modules\/\S+\/build M=\S+ CONFIG_DEMO=y modules/);
    expect(out).toContain("compiling");
    expect(out).toContain(`made ${folder}/work/build/demo/kernel/demo.ko`);
    const copied = (await readdir(join(folder, "work/build/demo"), { recursive: true })).sort();
    expect(copied).toEqual(["kernel", "kernel/build.sh", "kernel/demo.ko", "vexlab.yaml"]);
    expect(await readdir(source, { recursive: true })).toEqual(before);
  });

  test("tools are built by their own commands", async () => {
    await put(
      "source/vexlab.yaml",
      manifest(
        " []",
        "tools: [{name: ctl, folder: ctl, command: [sh, build.sh], artefacts: [out/ctl]}]",
      ),
    );
    await put("source/ctl/build.sh", "mkdir out; touch out/ctl\n");
    expect((await guest("build-tools")).out).toContain("/ctl/out/ctl");
  });

  test.each([
    ["a command that fails", "echo oh no; exit 2", /make ended with status 2/],
    ["an artefact that isn't made", "true", /did not make .*demo\.ko/],
  ])("%s ends with 6", async (_what, script, message) => {
    await put("source/vexlab.yaml", manifest(" []"));
    await put("source/kernel/build.sh", `${script}\n`);
    const { code, err } = await guest("build-kernel");
    expect(code).toBe(6);
    expect(err).toMatch(message);
  });
});

describe("a DKMS package", () => {
  test("is built by its dkms.conf and loaded in the order of its modules' needs", async () => {
    await put(
      "source/vexlab.yaml",
      `name: demo
module: {folder: kernel, dkms: dkms.conf}
load: {parameters: {core.ko: {debug: 1}}}
suites: [{name: one, command: [tests/one.sh]}]
`,
    );
    await put(
      "source/kernel/dkms.conf",
      `PACKAGE_NAME=demo PACKAGE_VERSION=1
BUILT_MODULE_NAME=(on-top core)
MAKE="make M=$PWD"`,
    );
    await put("source/kernel/build.sh", "touch on-top.ko core.ko\n");
    await put(
      "bin/modinfo",
      "#!/bin/sh\ncase $3 in *on-top.ko) echo videodev,core;; *) echo;; esac\n",
    );
    await suite("one", 'echo KTAP version 1; echo 1..1; echo "$VEXLAB_LOAD" >&2; echo ok 1');
    const { code, out, err } = await guest("test");
    expect({ code, err }).toMatchObject({ code: 0 });
    const loaded = await readFile(join(folder, "loaded"), "utf8");
    expect(loaded.replace(/\S+\/kernel\//g, "")).toBe(
      "modprobe -- videodev\ninsmod core.ko debug=1\ninsmod on-top.ko\n",
    );
    expect(out).toMatch(/\/kernel\/core\.ko debug=1\n\S+\/kernel\/on-top\.ko\n/);
  });

  test("that is not for the kernel is not built", async () => {
    await put("source/vexlab.yaml", "{name: demo, module: {dkms: dkms.conf}}");
    await put(
      "source/dkms.conf",
      "PACKAGE_NAME=demo PACKAGE_VERSION=1 BUILD_EXCLUSIVE_KERNEL='^1\\.'",
    );
    const { code, out, err } = await guest("build-kernel");
    expect(code).toBe(6);
    expect(out).toContain("the package is not for kernel");
    expect(err).toContain("ended with status 77");
  });
});

describe("testing", () => {
  test("all that passes: environment, parameters, live KTAP, summary, log", async () => {
    await put("source/vexlab.yaml", manifest("  - {name: one, command: [tests/one.sh]}"));
    await suite(
      "one",
      `echo KTAP version 1; echo 1..3
[ "$PWD" = "$VEXLAB_SOURCE" ] && [ -e "$VEXLAB_MODULES/demo.ko" ] && echo "ok 1 found"
echo "  ok 1 nested"; echo "  not ok 2 nested"
echo "ok 2 - second # SKIP no disk"
[ "$VEXLAB_TEST_DISK" = /dev/disk/by-id/virtio-vexlab-test ] && [ -n "$KERNELRELEASE" ] && echo ok 3
echo a word on the side >&2`,
    );
    const { code, out } = await guest("test");
    expect(code).toBe(0);
    expect(out).toContain("ok 1 found\n");
    expect(out).toContain("a word on the side");
    expect(out).toContain("one  passed: 2 passed, 0 failed, 1 skipped");
    expect(out).toContain("total: 2 passed, 0 failed, 1 skipped");
    const loaded = await readFile(join(folder, "loaded"), "utf8");
    expect(loaded).toMatch(/^modprobe -- videodev\ninsmod \S+demo\.ko debug=Y name="two words"\n$/);
    const [log = ""] = await readdir(join(folder, "results"));
    expect(log).toMatch(/^test_log_\d{8}_\d{6}\.txt$/);
    const text = await readFile(join(folder, "results", log), "utf8");
    expect(out).toContain(text.trimEnd());
    // The copy in which the suites ran is gone.
    expect(await readdir(join(folder, "work/run"))).toEqual([]);
  });

  test.each([
    ["a failed case", "echo 1..2; echo ok 1; echo not ok 2 - broken", "not ok broken"],
    ["no plan", "echo ok 1", "no plan: 1 results came"],
    ["too few results", "echo 1..2; echo ok 1", "2 results were planned, 1 came"],
    ["no results", "true", "no results"],
    ["a status", "echo 1..1; echo ok 1; exit 9", "ended with status 9"],
    ["bailing out", "echo ok 1; echo 'Bail out! no disk'", "bailed out: no disk"],
  ])("%s fails the suite, and the next one runs", async (_what, script, said) => {
    await put(
      "source/vexlab.yaml",
      manifest(
        "  - {name: bad, command: [tests/bad.sh]}\n  - {name: good, command: [tests/good.sh]}",
      ),
    );
    await suite("bad", script);
    await suite("good", "echo 1..1; echo ok 1");
    const { code, out } = await guest("test");
    expect(code).toBe(1);
    expect(out).toContain(said);
    expect(out).toContain("good  passed: 1 passed");
  });

  test("only the suites that were named; an unknown name is a mistake", async () => {
    await put(
      "source/vexlab.yaml",
      manifest("  - {name: a, command: [tests/a.sh]}\n  - {name: b, command: [tests/b.sh]}"),
    );
    await suite("a", "echo 1..1; echo ok 1 from a");
    await suite("b", "echo 1..1; echo ok 1 from b");
    const { out } = await guest("test", "b");
    expect(out).toContain("from b");
    expect(out).not.toContain("from a");
    const wrong = await guest("test", "c");
    expect(wrong.code).toBe(2);
    expect(wrong.err).toContain("no such suite: c; there are: a, b");
  });

  describe("a selection", () => {
    beforeEach(async () => {
      const suites = ["one", "two", "three"].map(
        (name) => `  - {name: ${name}, command: [tests/${name}.sh]}`,
      );
      await put("source/vexlab.yaml", manifest(suites.join("\n")));
      await suite(
        "one",
        "echo 1..3; echo '# tags: slow'; echo ok 1 - a b; echo not ok 2 a; echo ok 3 c; exit 1",
      );
      await suite(
        "two",
        'echo "# selected: 1 of 4"; echo 1..1; echo "ok 1 a $VEXLAB_SEED $VEXLAB_CASE_TIMEOUT"',
      );
      await suite("three", 'echo "$VEXLAB_CASES, $VEXLAB_TAGS"; echo 1..1; echo ok 1 z');
    });

    test("of cases counts those only, and tells suites which", async () => {
      const { code, out } = await guest(
        "test",
        "--case",
        "a ?",
        "--case",
        "z*",
        "--case",
        "a * 60",
      );
      expect(out).toContain("\na ?\nz*\na * 60, \n");
      expect(out).toMatch(/one +passed: 1 passed, 0 failed, 0 skipped, 2 not selected/);
      expect(out).toMatch(/two +passed: 1 passed, 0 failed, 0 skipped, 3 not selected/);
      expect(code).toBe(0);
    });

    test("of tags, and of suites by pattern", async () => {
      const { code, out } = await guest("test", "t*", "o?e", "--tag", "slow");
      expect(out).toContain("total: 1 passed, 0 failed, 0 skipped");
      expect(code).toBe(0);
    });

    test("that fits nothing fails", async () => {
      const { code, out } = await guest("test", "one", "--case", "x*", "--tag", "fast");
      expect(out).toContain("no case has a name like 'x*'\nno case has the tag fast");
      expect(code).toBe(1);
    });

    test("in a random order that the seed decides", async () => {
      const { code, out } = await guest("test", "--order", "random", "--seed", "2");
      expect(code).toBe(1);
      const order = inRandomOrder([{ name: "one" }, { name: "two" }, { name: "three" }], 2);
      expect([...out.matchAll(/^=== (\w+)/gm)].map(([, name]) => ({ name }))).toEqual(order);
      expect(order[0]?.name).not.toBe("one");
      expect(out).toContain("ok 1 a 2 60");
      expect(out).toContain("random order, seed 2");
      expect((await guest("test", "--seed", "2")).code).toBe(2);
    });
  });

  test("only the tools that the suites need are built", async () => {
    const tools = ["always", "some"].map((name) => {
      const only = name === "some" ? ", suites: [a]" : "";
      return `{name: ${name}, command: [touch, ${name}], artefacts: [${name}]${only}}`;
    });
    await put(
      "source/vexlab.yaml",
      manifest(
        "  - {name: a, command: [tests/a.sh]}\n  - {name: b, command: [tests/b.sh]}",
        `tools: [${tools.join(", ")}]`,
      ),
    );
    await suite("a", "echo 1..1; echo ok 1; ls");
    await suite("b", "echo 1..1; echo ok 1; ls");
    expect((await guest("test", "b")).out).toMatch(/^always$/m);
    expect((await guest("test", "b")).out).not.toMatch(/^some$/m);
    expect((await guest("test", "a")).out).toMatch(/^some$/m);
    expect((await guest("build-tools")).out).toContain("/some");
  });

  test("a case that hangs is killed with all its children at its deadline", async () => {
    const marker = `8${process.pid}${Math.floor(performance.now())}`;
    await put(
      "source/vexlab.yaml",
      manifest("  - {name: slow, command: [tests/slow.sh], caseTimeout: 700ms}"),
    );
    await suite("slow", `echo 1..2; echo ok 1; sleep ${marker} & sleep ${marker}`);
    const { code, out, ms } = await guest("test");
    expect(code).toBe(5);
    expect(out).toContain("slow  hung: 1 passed");
    expect(out).toContain("no result for 0.7 s");
    expect(ms).toBeLessThan(8000);
    const left = await execa("pgrep", ["-f", `sleep ${marker}`], { reject: false });
    expect(left.stdout).toBe("");
  });

  test("each result starts the case's deadline anew", async () => {
    await put(
      "source/vexlab.yaml",
      manifest("  - {name: steady, command: [tests/steady.sh], caseTimeout: 2s}"),
    );
    await suite("steady", "echo 1..3; for i in 1 2 3; do sleep 1; echo ok $i; done");
    const { code, out } = await guest("test");
    expect(out).toContain("steady  passed: 3 passed");
    expect(code).toBe(0);
  });

  test("results in time do not save a suite from its own deadline", async () => {
    await put(
      "source/vexlab.yaml",
      manifest("  - {name: slow, command: [tests/slow.sh], caseTimeout: 5s, timeout: 1s}"),
    );
    await suite("slow", "while :; do echo ok; sleep 0.2; done");
    expect(await guest("test")).toMatchObject({
      code: 5,
      out: expect.stringContaining("not finished after 1 s") as string,
    });
  });

  test("a module that does not load ends with 7", async () => {
    await put("source/vexlab.yaml", manifest("  - {name: one, command: [tests/one.sh]}"));
    await suite("one", "echo ok 1");
    await put("refuse", "");
    const { code, err } = await guest("test");
    expect(code).toBe(7);
    expect(err).toContain("insmod: ERROR: Unknown symbol");
  });

  test("a suite that can't be run is named", async () => {
    await put("source/vexlab.yaml", manifest("  - {name: one, command: [tests/none.sh]}"));
    const { code, out } = await guest("test");
    expect(code).toBe(1);
    expect(out).toContain("tests/none.sh");
  });
});

describe("mistakes", () => {
  test.each([
    ["no manifest", undefined, 2, /has no vexlab\.yaml/],
    ["bad YAML", "a: [", 2, /vexlab\.yaml: /],
    ["a missing key", "name: demo", 2, /module is missing/],
    ["a name that is none", "name: ../x\nmodule: {artefacts: [a.ko]}", 2, /is not a name/],
    ["a path outside", "name: x\nmodule: {artefacts: [../a.ko]}", 2, /leaves the source folder/],
    ["not a mapping", "[]", 2, /vexlab manifest check/],
  ])("%s", async (_what, text, code, message) => {
    if (text !== undefined) await put("source/vexlab.yaml", text);
    const done = await guest("build-kernel");
    expect(done.code).toBe(code);
    expect(done.err).toMatch(message);
    expect(done.err).not.toContain("Traceback");
  });

  test("a source that is not mounted comes with the command that mounts it", async () => {
    const { exitCode, stderr } = await execa("python3", [program, "test"], { reject: false });
    expect(exitCode).toBe(3);
    expect(stderr).toContain(
      "sudo mount -t 9p -o trans=virtio,version=9p2000.L vexfs-src /mnt/vexfs-src",
    );
  });

  test("help names the verbs and exit codes", async () => {
    const { stdout } = await execa("python3", [program, "--help"]);
    expect(stdout).toMatch(/build-kernel[\s\S]*build-tools[\s\S]*test[\s\S]*6 build failed/);
  });
});
