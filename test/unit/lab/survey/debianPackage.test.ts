/** A package's sources in a folder; apt-get is a program of the test's, dpkg-deb is real. */
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { layOutDebianSource } from "../../../../lab/survey/debianPackage.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-package-"));
  await put("deb/DEBIAN/control", "Package: hello-dkms\nVersion: 1.0-2\nArchitecture: all\n");
  await put("deb/DEBIAN/control", "Maintainer: nobody\nDescription: a test\n", "a");
  await put("deb/usr/src/hello-1.0/dkms.conf", "PACKAGE_NAME=hello\n");
  await put("deb/usr/src/hello-1.0/src/hello.c", "int a;\n");
  await pack();
  await put("bin/apt-get", `#!/bin/sh\necho "$*" >>${folder}/asked\n${apt("cp")}`);
  await chmod(join(folder, "bin/apt-get"), 0o755);
  vi.stubEnv("PATH", `${folder}/bin:${process.env["PATH"] ?? ""}`);
  vi.stubEnv("VEXLAB_MIRROR", "http://mirror.invalid/debian");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

const apt = (copy: string): string =>
  `case "$*" in *update*) ;; *none-dkms*) echo "E: Unable to locate package" >&2; exit 100;; *) ${copy} ${folder}/hello.deb .;; esac\n`;

async function put(path: string, text: string, flag = "w"): Promise<void> {
  const file = join(folder, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text, { flag });
}

const pack = () =>
  execa("dpkg-deb", ["--root-owner-group", "-b", join(folder, "deb"), join(folder, "hello.deb")]);
const target = () => join(folder, "target");

it("is laid out beside what is there", async () => {
  await put("target/tests/mine.sh", "");
  expect(await layOutDebianSource("hello-dkms=1.0-2", target())).toEqual({
    version: "1.0-2",
    files: ["dkms.conf", "src/hello.c"],
  });
  expect((await readdir(target())).sort()).toEqual(["dkms.conf", "src", "tests"]);
  expect(await readFile(join(folder, "asked"), "utf8")).toMatch(/ download hello-dkms=1\.0-2\n$/);
});

it("overwrites no file", async () => {
  await put("target/src/hello.c", "mine");
  await expect(layOutDebianSource("hello-dkms", target())).rejects.toMatchObject({
    exitCode: 2,
    message: expect.stringContaining("src/hello.c is there already") as string,
  });
  expect(await readdir(target())).toEqual(["src"]);
});

it("comes from another release's lists, which only this call uses", async () => {
  await layOutDebianSource("hello-dkms/trixie", target());
  const [update, download] = (await readFile(join(folder, "asked"), "utf8")).trim().split("\n");
  expect(update).toMatch(/Dir::Etc::SourceParts=- .*update --error-on=any$/);
  expect(download).toMatch(/Dir::State::Lists=\S+ .*download hello-dkms$/);
});

it.each([
  ["none-dkms", 3, "none-dkms can't be downloaded: E: Unable to locate package"],
  ["-o=x", 2, "is no name of a package"],
  ["hello-dkms/../x", 2, "is no name of a package"],
])("%s is refused", async (name, exitCode, said) => {
  await expect(layOutDebianSource(name, target())).rejects.toMatchObject({
    exitCode,
    message: expect.stringContaining(said) as string,
  });
});

it("needs one tree of sources", async () => {
  await put("deb/usr/src/other-1/dkms.conf", "");
  await pack();
  await expect(layOutDebianSource("hello-dkms", target())).rejects.toThrow(/found 2/);
});
