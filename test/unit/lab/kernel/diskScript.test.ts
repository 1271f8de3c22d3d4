import { mkdir, mkdtemp, readFile, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect, it } from "vitest";
import { debugfsComplaints, debugfsScript } from "../../../../lab/kernel/diskScript.ts";

it("puts a folder's files into a file system without mounting it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "disk-"));
  const files = join(folder, "files");
  await mkdir(join(files, "usr/lib/modules/1/kernel"), { recursive: true });
  await writeFile(join(files, "usr/lib/modules/1/kernel/a.ko"), "module");
  await writeFile(join(files, "usr/lib/modules/1/tool"), "#!/bin/sh\n", { mode: 0o755 });
  await symlink("/usr/src/1", join(files, "usr/lib/modules/1/build"));
  const disk = join(folder, "disk");
  await mkdir(join(folder, "root/usr/lib"), { recursive: true });
  const path = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
  const run = (program: string, ...words: string[]) =>
    execa(program, words, { env: { PATH: path } });
  await run("mke2fs", "-q", "-t", "ext4", "-d", join(folder, "root"), disk, "8M");

  const there = new Set(["/usr", "/usr/lib"]);
  const script = await debugfsScript(files, (each) => there.has(each));
  expect(script.files).toBe(3);
  await writeFile(join(folder, "script"), script.commands);
  const { stderr } = await run("debugfs", "-w", "-f", join(folder, "script"), disk);
  expect(debugfsComplaints(stderr)).toEqual([]);
  await run("e2fsck", "-f", "-n", disk);
  await run("debugfs", "-R", `rdump /usr ${folder}`, disk);
  const out = join(folder, "usr/lib/modules/1");
  expect(await readFile(join(out, "kernel/a.ko"), "utf8")).toBe("module");
  const { stdout } = await run("debugfs", "-R", "ls -l /usr/lib/modules/1", disk);
  expect(stdout).toMatch(/100755 .* 0 +0 .* tool$/m);
  expect(stdout).toMatch(/120777 .* build$/m);
});

it("takes what debugfs says besides its version for a complaint", () => {
  expect(debugfsComplaints("debugfs 1.47.0 (5-Feb-2023)\n")).toEqual([]);
  expect(debugfsComplaints("debugfs 1.47.0\nwrite: No free space\n")).toEqual([
    "write: No free space",
  ]);
});

it("refuses names that would end a word of the script", async () => {
  const folder = await mkdtemp(join(tmpdir(), "disk-"));
  await writeFile(join(folder, 'a"b'), "");
  await expect(debugfsScript(folder, () => true)).rejects.toThrow(/can be called so/);
});
