/** What is kept of a guest's memory, with a virsh of the test's own on PATH. */
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { GuestError } from "../../../../lab/guest/session.ts";
import { silentProgress } from "../../../../lab/report/progress.ts";
import { keepMemory, rememberKernel, type KeepMemory } from "../../../../lab/run/keepMemory.ts";
import { kernelBase, qemuCore } from "../hypervisor/core.ts";
import { FakeGuest } from "./fakeGuest.ts";

const kallsyms = "ffffffff81000000 T _stext\nffffffff81000100 T f\nffffffff81001000 T _etext\n";
const path = process.env["PATH"];
let folder: string;
let log: string[];
let keep: KeepMemory;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-keep-"));
  process.env["PATH"] = `${folder}:${path ?? ""}`;
  log = [];
  keep = {
    ...{ libvirtUri: "test:///", domain: "dev", folder, tree: "/tree", progress: silentProgress },
    modules: new Map([["hello", "/tree/hello.ko"]]),
    log: { write: (text) => void log.push(text) },
  };
  await writeFile(join(folder, "core"), qemuCore());
  await virsh(`cp ${folder}/core $last`);
});
afterEach(async () => {
  process.env["PATH"] = path;
  await rm(folder, { recursive: true });
});

async function virsh(dump: string): Promise<void> {
  const file = join(folder, "virsh");
  const sizes = `*memory-size*) echo '{"return":{"base-memory":1}}' ;;`;
  const text = `#!/bin/sh\nfor last; do :; done\ncase $* in\n${sizes}\n*" dump "*) ${dump} ;;\nesac\n`;
  await writeFile(file, text);
  await chmod(file, 0o755);
}

test("is opened by one command, which is logged", async () => {
  const dump = await keepMemory(keep, kallsyms, 2);
  const name = join(folder, "memory-2");
  expect(dump).toMatchObject({ file: `${name}.core`, open: `gdb -x ${name}.gdb` });
  const script = await readFile(`${name}.gdb`, "utf8");
  expect(script).toContain(`symbol-file ${name}.vmlinux\ncore-file ${name}.core\n`);
  expect(script).toContain('files = {"hello": "/tree/hello.ko"}');
  expect((await readFile(`${name}.vmlinux`)).subarray(0, 4).toString("latin1")).toBe("\x7fELF");
  expect(log.join("\n")).toContain(`open it: gdb -x ${name}.gdb`);
});

test("is kept without the kernel's symbols when those can't be had", async () => {
  const guest = new FakeGuest();
  guest.unreachable = new GuestError("deadline", "no answer");
  expect(await rememberKernel(guest, keep)).toBe("");
  expect(log).toEqual(["the kernel's symbols can't be read: no answer"]);
  const dump = await keepMemory(keep, "", 1);
  expect(dump?.open).toBe(`gdb --core ${join(folder, "memory-1.core")}`);
});

test.each([
  ["its own kernel's", "Linux version 6.1.0", "gdb -x"],
  ["another boot's", "something else", "gdb --core"],
])("is opened with symbols when they are %s", async (_whose, there, open) => {
  const image = qemuCore();
  image.write(`${there}\0`, image.indexOf("data\0"));
  await writeFile(join(folder, "core"), image);
  const banner = `${(kernelBase + 4096n).toString(16)} D linux_banner\n`;
  const dump = await keepMemory(keep, kallsyms + banner, 1);
  expect(dump?.open.startsWith(open)).toBe(true);
});

test("that can't be had is told, and is no failure of the run", async () => {
  await virsh("echo error: no such domain >&2; exit 1");
  expect(await keepMemory(keep, kallsyms, 1)).toBeUndefined();
  expect(log.join()).toMatch(/^the guest's memory is not kept: .*no such domain/);
  expect((await readdir(folder)).filter((name) => name.startsWith("memory"))).toEqual([]);
});
