import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { daemonFolder } from "../../../../lab/config/places.ts";
import { connectionUri } from "../../../../lab/hypervisor/connection.ts";
import { powerOff } from "../../../../lab/hypervisor/powerOff.ts";

const name = "vexlab-unit";
let folder: string;
let children: ChildProcess[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-power-"));
  children = [];
  await writeFile(join(folder, "virsh"), `#!/bin/sh\necho "$@" >>${folder}/asked\n`);
  await chmod(join(folder, "virsh"), 0o755);
  vi.stubEnv("PATH", `${folder}:${process.env["PATH"] ?? ""}`);
  vi.stubEnv("VEXLAB_CACHE_DIR", folder);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const child of children) child.kill("SIGKILL");
  await rm(folder, { recursive: true });
});

/** A process with a word of QEMU's, and libvirt's file that names it. */
async function started(word: string): Promise<ChildProcess> {
  const child = spawn("sh", ["-c", "trap '' TERM; echo; sleep 60; :", word], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  children.push(child);
  await once(child.stdout, "data");
  const run = join(daemonFolder(), "runtime/libvirt/qemu/run");
  await mkdir(run, { recursive: true });
  await writeFile(join(run, `${name}.pid`), `${child.pid ?? 0}\n`);
  return child;
}

const asked = (): Promise<string> => readFile(join(folder, "asked"), "utf8");
const lives = (child: ChildProcess): boolean =>
  child.exitCode === null && child.signalCode === null;

it("ends the process of a domain of the checkout's own daemon, and then asks libvirt", async () => {
  const child = await started(`guest=${name},debug-threads=on`);
  await powerOff(connectionUri("qemu:///session"), name);
  expect(child.signalCode).toBe("SIGKILL");
  expect(await asked()).toMatch(`destroy ${name}\n`);
});

it("leaves a process alone that is another domain's, or another libvirt's", async () => {
  const longer = await started(`guest=${name}-fork-1-1,debug-threads=on`);
  await powerOff(connectionUri("qemu:///session"), name);
  const foreign = await started(`guest=${name},debug-threads=on`);
  await powerOff("qemu:///system", name);
  expect([longer, foreign].map(lives)).toEqual([true, true]);
  expect(await asked()).toMatch(/destroy .*\n.*qemu:\/\/\/system destroy .*\n$/);
});

it("asks libvirt alone where there is no such process", async () => {
  const child = await started(`guest=${name},debug-threads=on`);
  child.kill("SIGKILL");
  await once(child, "exit");
  await powerOff(connectionUri("qemu:///session"), name);
  expect(await asked()).toMatch(`destroy ${name}\n`);
});
