/** Surveys of small trees; bash and make really run, in the sandbox, with the host's programs. */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { listSources } from "../../../../lab/build/sources.ts";
import { parseManifest } from "../../../../lab/config/manifest.ts";
import { adopt } from "../../../../lab/survey/adopt.ts";
import { parseObjects } from "../../../../lab/survey/kbuildSurvey.ts";
import { manifestText } from "../../../../lab/survey/manifestText.ts";
import { surveyTree, type Survey } from "../../../../lab/survey/survey.ts";
import { runOnTree } from "../../../../lab/survey/treeSandbox.ts";

const places = ["5.10.0-1-amd64", "6.1.0-1-amd64"].map((kernelRelease) => ({ kernelRelease }));

let tree: string;
beforeEach(async () => {
  tree = await mkdtemp(join(tmpdir(), "vexlab-survey-"));
});
afterEach(() => rm(tree, { recursive: true, force: true }));

async function put(files: Record<string, string>, mode = 0o644): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await writeFile(join(tree, path), text);
    await chmod(join(tree, path), mode);
  }
}

/** The survey; the manifest written from it has to be one. */
async function survey(): Promise<Survey> {
  const found = await surveyTree(tree, places);
  parseManifest(manifestText(found));
  return found;
}

describe("a Kbuild tree", () => {
  it("has the modules that make finds, in the folders that it names", async () => {
    await put({
      "README.md": "obj-m := readme.o",
      "src/Makefile": `
ifneq ($(KERNELRELEASE),)
parts := one two
obj-m := $(parts:=.o) three/
one-y := a.o b.o
else
all: ; $(MAKE) -C /lib/modules/$(shell uname -r)/build M=$(PWD)
endif`,
      "src/three/Kbuild": "obj-m += four.o\nobj-$(CONFIG_FIVE) += five.o\n",
      "src/a.c": 'MODULE_ALIAS_FS("onefs");\nmodule_param(debug, int, 0);\n',
    });
    const found = await survey();
    expect(found).toMatchObject({
      ...{ name: "one", folder: "src", make: [], filesystem: "onefs", parameters: ["debug"] },
      modules: ["one.ko", "two.ko", "three/four.ko"],
    });
    expect(found.missing.join("\n")).toContain(
      "not built, for want of a CONFIG_ variable: three/five.ko",
    );
    const { module, filesystem } = parseManifest(manifestText(found));
    expect(module).toMatchObject({ folder: "src", artefacts: [...found.modules] });
    expect(filesystem?.type).toBe("onefs");
  });

  it("whose only modules want a variable is built with it", async () => {
    await put({ Kbuild: "obj-$(CONFIG_DEMO) += demo.o\n" });
    expect(await survey()).toMatchObject({ modules: ["demo.ko"], make: ["CONFIG_DEMO=m"] });
  });

  it("without modules, or none at all, is a clear mistake", async () => {
    await put({ Makefile: "all: ; true\n" });
    await expect(survey()).rejects.toThrow(/builds a kernel module: no dkms\.conf, and no Kbuild/);
    await put({ Makefile: "obj-m := $(error broken here)\n" });
    await expect(survey()).rejects.toMatchObject({
      exitCode: 2,
      next: expect.stringContaining("broken here") as string,
    });
  });
});

describe("a DKMS package", () => {
  const conf = `
PACKAGE_NAME="Hello World"
PACKAGE_VERSION=1.0
BUILT_MODULE_NAME[0]=hello
[[ $kernelver == 6.* ]] && BUILT_MODULE_NAME[1]=six
PATCH[0]=old.patch; PATCH_MATCH[0]="^5\\."
BUILD_DEPENDS[0]=other-dkms
PRE_BUILD=configure
BUILD_EXCLUSIVE_KERNEL="^6\\."
`;

  it("is built by its dkms.conf, which is told for each kernel", async () => {
    await put({ "dkms.conf": conf, Makefile: "obj-m := wrong.o\n" });
    const found = await survey();
    expect(found).toMatchObject({
      ...{ name: "hello-world", folder: ".", dkms: "dkms.conf" },
      modules: ["hello.ko", "six.ko"],
    });
    expect(found.found).toEqual([
      "DKMS package Hello World 1.0",
      "5.10.0-1-amd64: not for it: BUILD_EXCLUSIVE_KERNEL is ^6\\.",
      "6.1.0-1-amd64: hello.ko, six.ko",
      "programs around its build: configure",
    ]);
    const missing = found.missing.join("\n");
    expect(missing).toContain("other-dkms");
    expect(missing).toContain("patches that are not there: old.patch");
    expect(missing).toContain("configure, which runs around the build, is no program");
    expect(parseManifest(manifestText(found)).module).toMatchObject({ dkms: "dkms.conf" });
  });

  it("of which Debian makes the dkms.conf is built in the folder above", async () => {
    await put({ "debian/hello.dkms": conf });
    expect(await survey()).toMatchObject({ folder: ".", dkms: "debian/hello.dkms" });
  });

  it("whose dkms.conf can't be read is read by make", async () => {
    await put({ "dkms.conf": "exit 3\n", Kbuild: "obj-m := hello.o\n" });
    const found = await survey();
    expect(found.dkms).toBeUndefined();
    expect(found.modules).toEqual(["hello.ko"]);
    expect(found.missing[0]).toMatch(/dkms\.conf can't be read for 5\.10\.0.*with status 3/);
  });
});

describe("the programs of a tree", () => {
  it("can't write to it, reach the network, see the user's files or run on", async () => {
    await put({
      "dkms.conf": `PACKAGE_NAME=evil; PACKAGE_VERSION=1
echo changed > Kbuild || true
echo changed > /mnt/tree/new || true
PACKAGE_VERSION="$(ls /home /root /work /etc 2>/dev/null | wc -l)-$(wc -l </proc/net/route)-$(env | grep -c TOKEN)"`,
      Kbuild: "obj-m := a.o\n",
    });
    process.env["VEXLAB_TEST_TOKEN"] = "secret";
    const { found } = await survey();
    delete process.env["VEXLAB_TEST_TOKEN"];
    expect(found[0]).toBe("DKMS package evil 0-1-0");
    expect(await readFile(join(tree, "Kbuild"), "utf8")).toBe("obj-m := a.o\n");
    expect((await readdir(tree)).sort()).toEqual(["Kbuild", "dkms.conf"]);
  });

  it("that fail are told with their last word", async () => {
    const [place] = places;
    if (place === undefined) throw new Error("no place");
    expect(await runOnTree(tree, place, ".", ["sh", "-c", "echo a; echo no >&2; exit 3"])).toEqual({
      problem: "no",
    });
  });
});

describe("tests that are there", () => {
  it("are suites when they print KTAP", async () => {
    await put({ Kbuild: "obj-m := a.o\n", "tests/ktap.sh": "#!/bin/sh\necho KTAP version 1\n" });
    await put(
      {
        "tests/one.sh": "#!/bin/sh\necho 'KTAP version 1'\n",
        "test/Two Words.sh": '#!/bin/sh\n. "$(dirname "$0")/ktap.sh"\n',
        "tests/other": "#!/bin/sh\necho fine\n",
        "tools/three.sh": "#!/bin/sh\necho KTAP version 1\n",
      },
      0o755,
    );
    await put({ "tests/four.py": 'print("TAP version 13")\nif __name__ == "__main__": pass\n' });
    const { suites, missing } = await survey();
    expect(suites).toEqual([
      { name: "two-words", command: ["test/Two Words.sh"] },
      { name: "four", command: ["python3", "tests/four.py"] },
      { name: "one", command: ["tests/one.sh"] },
    ]);
    expect(missing.join("\n")).toContain("programs among the tests print no KTAP: tests/other");
  });
});

describe("init", () => {
  const options = { force: false, dryRun: false };

  it("writes a manifest and a first suite, and overwrites nothing", async () => {
    await put({ Kbuild: "obj-m := a.o\n" });
    const dry = await adopt(tree, { ...options, dryRun: true });
    expect(dry.written).toEqual([]);
    expect(await readdir(tree)).toEqual(["Kbuild"]);

    const { written } = await adopt(tree, options);
    expect(written).toEqual(["tests/vexlab-loads.sh", "vexlab.yaml"]);
    const manifest = await readFile(join(tree, "vexlab.yaml"), "utf8");
    expect(manifest).toBe(dry.manifest);
    expect(parseManifest(manifest).suites[0]?.command).toEqual(["tests/vexlab-loads.sh"]);

    await expect(adopt(tree, options)).rejects.toThrow(/vexlab\.yaml is there already/);
    await put({ "vexlab.yaml": "mine" });
    await put({ "tests/vexlab-loads.sh": "#!/bin/sh\necho KTAP version 1\n" }, 0o755);
    const again = await adopt(tree, { ...options, force: true });
    expect(again).toMatchObject({ written: ["vexlab.yaml"], backup: "vexlab.yaml.~1~" });
    expect(await readFile(join(tree, "vexlab.yaml.~1~"), "utf8")).toBe("mine");
    expect(await readFile(join(tree, "tests/vexlab-loads.sh"), "utf8")).toContain("echo KTAP");
    expect((await adopt(tree, { ...options, force: true })).backup).toBe("vexlab.yaml.~2~");
  });

  it("leaves links out that leave the folder, and nothing else", async () => {
    await put({ Kbuild: "obj-m := a.o\n", "README 1.gz": "", "a.c": "" });
    await mkdir(join(tree, "docs"));
    await symlink("/usr/share/doc", join(tree, "docs/READ*[1].gz"));
    await symlink("a.c", join(tree, "b.c"));
    const { survey, manifest } = await adopt(tree, options);
    expect(survey.missing.join("\n")).toContain("left out: docs/READ*[1].gz");
    const sources = await listSources(tree, parseManifest(manifest));
    expect(sources.map(({ path }) => path)).toEqual([
      ...["Kbuild", "README 1.gz", "a.c", "b.c", "tests/vexlab-loads.sh", "vexlab.yaml"],
    ]);
  });

  it("wants a folder", async () => {
    await expect(adopt(join(tree, "none"), options)).rejects.toMatchObject({ exitCode: 2 });
  });
});

it("make's answer is read by its lines", () => {
  expect(parseObjects("noise\nvexlab-m a.o sub/ b.o\nvexlab-y deep/\nvexlab-  c.o \n")).toEqual({
    objects: ["a.o", "b.o"],
    disabled: ["c.o"],
    folders: ["sub/", "deep/"],
  });
});
