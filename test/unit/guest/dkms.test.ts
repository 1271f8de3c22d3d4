/** guest/lib/vexlab_guest/dkms.sh, run on the host on small packages; `make` is a program of the test's. */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { modulesIn, parseDkmsConf, type DkmsConf } from "../../../lab/build/dkms.ts";
import { firstError } from "../../../lab/build/firstError.ts";

const script = fileURLToPath(new URL("../../../guest/lib/vexlab_guest/dkms.sh", import.meta.url));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-dkms-"));
  await put("bin/make", `#!/bin/sh\necho "make $*"\n[ ! -e fail ] || exit 2\ntouch hello.ko\n`);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function put(path: string, text: string): Promise<void> {
  const file = join(folder, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
  await chmod(file, 0o755);
}

const package_ = (text: string): Promise<void> =>
  put("src/dkms.conf", `PACKAGE_NAME=hello\nPACKAGE_VERSION=1.0\n${text}\n`);

async function run(verb: "build" | "show", kernel: string, headers = join(folder, "headers")) {
  return execa("bash", [script, verb, "dkms.conf", kernel, headers, "2"], {
    cwd: join(folder, "src"),
    env: { PATH: `${folder}/bin:${process.env["PATH"] ?? ""}`, TMPDIR: folder },
    reject: false,
    stripFinalNewline: false,
  });
}

async function show(kernel: string): Promise<DkmsConf> {
  const { stdout, stderr, exitCode } = await run("show", kernel);
  expect(exitCode, stderr).toBe(0);
  return parseDkmsConf(stdout);
}

describe("what a dkms.conf says", () => {
  it("is the generic command for one module named after the package", async () => {
    await package_("");
    expect(await show("6.1.0")).toEqual({
      name: "hello",
      version: "1.0",
      make: `make -j2 KERNELRELEASE=6.1.0 -C ${folder}/headers M=${folder}/src`,
      modules: ["hello.ko"],
      ...{ patches: [], allPatches: [], needs: [], scripts: [] },
    });
  });

  it("is said in bash, with the variables that DKMS promises", async () => {
    await package_(`
i=0
. "$kernel_source_dir/.config"
echo "noise"
for name in core extra; do
  [ "$name" = extra ] && [ "$CONFIG_EXTRA" != y ] && continue
  BUILT_MODULE_NAME[$i]="\${PACKAGE_NAME}-$name"
  BUILT_MODULE_LOCATION[$i]="./drivers//$name/"
  i=$((i+1))
done
MAKE="make -C $kernel_source_dir M=\${dkms_tree}/$PACKAGE_NAME/$PACKAGE_VERSION/build/src V=1"
BUILD_DEPENDS[0]=other
PRE_BUILD="./configure --for $kernelver"
`);
    await put("headers/.config", "CONFIG_EXTRA=y\n");
    expect(await show("6.1.0")).toMatchObject({
      modules: ["drivers/core/hello-core.ko", "drivers/extra/hello-extra.ko"],
      make: `make -j2 KERNELRELEASE=6.1.0 -C ${folder}/headers M=${folder}/src/src V=1`,
      needs: ["other"],
      scripts: ["./configure --for 6.1.0"],
    });
    await put("headers/.config", "CONFIG_EXTRA=n\n");
    expect(await show("6.1.0")).toMatchObject({ modules: ["drivers/core/hello-core.ko"] });
  });

  it("depends on the kernel: MAKE_MATCH and PATCH_MATCH", async () => {
    await package_(`
MAKE[0]="make all"
MAKE[1]="make new"; MAKE_MATCH[1]="^6\\."
MAKE[2]="make newest"; MAKE_MATCH[2]="^6\\.12"
MAKE[3]="make never"
PATCH[0]=always.patch
PATCH[1]=six.patch; PATCH_MATCH[1]="^6\\."
PATCH[4]=five.patch; PATCH_MATCH[4]="^5\\.10\\."`);
    const made = async (kernel: string) => {
      const { make, patches } = await show(kernel);
      return [make.replace(/^make -j2 KERNELRELEASE=\S+ /, ""), ...patches];
    };
    expect(await made("5.10.0")).toEqual(["all", "always.patch", "five.patch"]);
    expect(await made("6.1.0")).toEqual(["new", "always.patch", "six.patch"]);
    expect(await made("6.12.3")).toEqual(["newest", "always.patch", "six.patch"]);
  });

  it("leaves a quoted make, and commands that are none, alone", async () => {
    await package_(`MAKE="'make' all"`);
    expect((await show("6.1.0")).make).toBe("'make' all");
    await package_(`MAKE="(makefoo; make)"`);
    expect((await show("6.1.0")).make).toBe("(makefoo; make)");
  });

  it.each([
    [`BUILD_EXCLUSIVE_KERNEL="^(5|6)\\."`, "7.0.0", "BUILD_EXCLUSIVE_KERNEL is ^(5|6)\\."],
    [`BUILD_EXCLUSIVE_KERNEL="^(5|6)\\."`, "6.1.0", undefined],
    ["BUILD_EXCLUSIVE_KERNEL_MIN=6.2", "6.1.0-9-amd64", "BUILD_EXCLUSIVE_KERNEL_MIN is 6.2"],
    ["BUILD_EXCLUSIVE_KERNEL_MIN=6.2", "6.12.0-9-amd64", undefined],
    ["BUILD_EXCLUSIVE_KERNEL_MAX=6.2", "6.12.0-9-amd64", "BUILD_EXCLUSIVE_KERNEL_MAX is 6.2"],
    ["BUILD_EXCLUSIVE_ARCH=^none$", "6.1.0", "BUILD_EXCLUSIVE_ARCH is ^none$"],
    [`BUILD_EXCLUSIVE_CONFIG="CONFIG_A CONFIG_B"`, "6.1.0", "the kernel has no CONFIG_B"],
    [`BUILD_EXCLUSIVE_CONFIG="!CONFIG_A"`, "6.1.0", "the kernel has CONFIG_A"],
    [`BUILD_EXCLUSIVE_CONFIG="CONFIG_A !CONFIG_B"`, "6.1.0", undefined],
  ])("%s on %s: %s", async (text, kernel, excluded) => {
    await package_(text);
    await put("headers/.config", "CONFIG_A=m\n# CONFIG_B is not set\n");
    expect((await show(kernel)).excluded).toBe(excluded);
    const { exitCode, stderr } = await run("build", kernel);
    expect(exitCode).toBe(excluded === undefined ? 0 : 77);
    if (excluded !== undefined)
      expect(firstError(`./dkms.conf: line 3: error: x\n${stderr}`)).toBe(
        `dkms.conf: the package is not for kernel ${kernel}: ${excluded}`,
      );
  });
});

describe("a build", () => {
  it("applies the kernel's patches, runs the programs and lists what it was to make", async () => {
    await package_(`
PATCH[0]=a.patch
PATCH[1]=b.patch; PATCH_MATCH[1]="^5"
PRE_BUILD="./pre.sh one two"
POST_BUILD=post.sh
BUILT_MODULE_NAME[0]=hello`);
    await put("src/hello.c", "old\n");
    await put("src/patches/a.patch", "--- a/hello.c\n+++ b/hello.c\n@@ -1 +1 @@\n-old\n+new\n");
    await put("src/patches/b.patch", "--- a/hello.c\n+++ b/hello.c\n@@ -1 +1 @@\n-new\n+five\n");
    await put("src/pre.sh", '#!/bin/sh\necho "pre $# $kernelver" >log\n');
    await put("src/post.sh", '#!/bin/sh\nls "$dkms_tree/hello/1.0/build/hello.ko" >>log\n');
    const { exitCode, stdout, stderr } = await run("build", "6.1.0");
    expect(exitCode, stderr).toBe(0);
    expect(stdout).toContain("patch -p1 < patches/a.patch");
    const read = (name: string) => readFile(join(folder, "src", name), "utf8");
    expect(await read("hello.c")).toBe("new\n");
    expect(await read("log")).toMatch(/^pre 2 6\.1\.0\n\S+\/hello\/1\.0\/build\/hello\.ko\n$/);
    expect(modulesIn(await read(".vexlab-dkms"))).toEqual(["hello.ko"]);
  });

  it.each([
    ["a patch that does not apply", "PATCH=x.patch", "dkms.conf: patches/x.patch does not apply"],
    ["a program that is none", "PRE_BUILD=none.sh", "none.sh can't be run"],
    ["a conf that ends bash", "exit 0", "dkms.conf: it ended bash by itself, with status 0"],
    ["a conf without a name", "unset PACKAGE_NAME", "dkms.conf: PACKAGE_NAME has no value"],
  ])("fails for %s", async (_, text, said) => {
    await package_(text);
    await put("src/hello.c", "old\n");
    await put("src/patches/x.patch", "--- a/hello.c\n+++ b/hello.c\n@@ -1 +1 @@\n-odd\n+new\n");
    const { exitCode, stderr } = await run("build", "6.1.0");
    expect(exitCode).toBe(1);
    expect(stderr).toContain(said);
    await expect(readFile(join(folder, "src", ".vexlab-dkms"))).rejects.toThrow();
  });

  it("fails as its make does", async () => {
    await package_("");
    await put("src/fail", "");
    expect((await run("build", "6.1.0")).exitCode).toBe(2);
  });
});
