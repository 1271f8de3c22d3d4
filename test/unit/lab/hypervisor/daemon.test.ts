import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { connectionUri } from "../../../../lab/hypervisor/connection.ts";
import { startDaemon, stopDaemon } from "../../../../lab/hypervisor/daemon.ts";
import { domainNames, virsh } from "../../../../lab/hypervisor/virsh.ts";

let cache: string;
let folder: string;

beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "vexlab-"));
  folder = join(cache, "run", "1");
});

afterEach(async () => {
  await stopDaemon(folder);
  rmSync(cache, { recursive: true });
});

test(
  "two starts at once make one daemon, which answers and stops",
  { timeout: 60_000 },
  async () => {
    const starts = await Promise.all([startDaemon(folder), startDaemon(folder)]);
    expect(starts).toHaveLength(2);
    expect(await startDaemon(folder)).toEqual({ started: false });
    expect(await domainNames(connectionUri("qemu:///session", folder))).toEqual([]);
    expect(await stopDaemon(folder)).toEqual({ stopped: true });
    expect(existsSync(folder)).toBe(false);
    expect(await stopDaemon(folder)).toEqual({ stopped: false });
  },
);

test("QEMU is told to be in its sandbox, and to leave its logs to virtlogd, which bounds them", async () => {
  await startDaemon(folder);
  const qemu = await readFile(join(folder, "libvirt/qemu.conf"), "utf8");
  expect(qemu).toMatch(/^seccomp_sandbox = 1$/m);
  expect(qemu).toMatch(/^stdio_handler = "logd"$/m);
  const logs = await readFile(join(folder, "libvirt/virtlogd.conf"), "utf8");
  expect(logs).toMatch(/^max_size = [1-9]\d*$/m);
  expect(logs).toMatch(/^max_backups = 1$/m);
  for (const part of [folder, join(folder, "npm-run-recover"), join(folder, "runtime")])
    expect(statSync(part).mode & 0o077).toBe(0);
});

test("a path that is too long for sockets is said so at once", async () => {
  await expect(startDaemon(join(cache, "x".repeat(100)))).rejects.toThrow(/107 are allowed/);
});

test("a libvirt that does not answer is the host's failure", async () => {
  const uri = connectionUri("qemu:///session", folder);
  await expect(virsh(uri, ["list"])).rejects.toMatchObject({ exitCode: 3 });
});
