import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeEach, describe, expect, it } from "vitest";
import { copySource } from "../../../../lab/build/copy.ts";
import { makeTree } from "./tree.ts";

let source = "";
let outside = "";
let copy = "";
beforeEach(async () => {
  source = await makeTree({ "kernel/a.c": "int a;\n", "tests/run.sh": "#!/bin/sh\n" });
  outside = await mkdtemp(join(tmpdir(), "outside-"));
  await writeFile(join(outside, "a.c"), "a secret of the host's\n");
  copy = await mkdtemp(join(tmpdir(), "copy-"));
});

const copyOf = (path: string): Promise<void> =>
  copySource(source, copy, { path, executable: false });

/** A guest that may write to the share has changed it after the sources were listed. */
describe("a source that is no longer what was listed", () => {
  const isRefused = async (path: string): Promise<void> => {
    await expect(copyOf(path)).rejects.toMatchObject({ code: "ENOENT" });
    await expect(readFile(join(copy, path))).rejects.toThrow();
  };

  it("is not followed when it is a link", async () => {
    await rm(join(source, "kernel/a.c"));
    await symlink(join(outside, "a.c"), join(source, "kernel/a.c"));
    await isRefused("kernel/a.c");
  });

  it("is not followed when its folder is a link", async () => {
    await rm(join(source, "kernel"), { recursive: true });
    await symlink(outside, join(source, "kernel"));
    await isRefused("kernel/a.c");
  });

  it("is not waited for when it is a pipe", async () => {
    await rm(join(source, "kernel/a.c"));
    await promisify(execFile)("mkfifo", [join(source, "kernel/a.c")]);
    await isRefused("kernel/a.c");
  });
});

it("a source is copied with its content and mode, also through a link to the source folder", async () => {
  const link = join(outside, "link");
  await symlink(source, link);
  await copySource(link, copy, { path: "tests/run.sh", executable: true });
  expect(await readFile(join(copy, "tests/run.sh"), "utf8")).toBe("#!/bin/sh\n");
  expect((await stat(join(copy, "tests/run.sh"))).mode & 0o777).toBe(0o755);
});
