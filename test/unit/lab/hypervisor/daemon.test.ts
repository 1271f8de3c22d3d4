import { existsSync, mkdtempSync, rmSync } from "node:fs";
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

test("a path that is too long for sockets is said so at once", async () => {
  await expect(startDaemon(join(cache, "x".repeat(100)))).rejects.toThrow(/107 are allowed/);
});

test("a libvirt that does not answer is the host's failure", async () => {
  const uri = connectionUri("qemu:///session", folder);
  await expect(virsh(uri, ["list"])).rejects.toMatchObject({ exitCode: 3 });
});
