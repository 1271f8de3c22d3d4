import { once } from "node:events";
import { createServer, type Server } from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ExitCode, LabError } from "../../../../lab/config/errors.ts";
import {
  holderPids,
  namingHolder,
  portFault,
  portHolder,
} from "../../../../lab/hypervisor/portHolder.ts";

let server: Server;
let port: number;

beforeEach(async () => {
  server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  port = (server.address() as AddressInfo).port;
});

afterEach(() => {
  server.close();
});

test("names the process that listens", async () => {
  expect(await portHolder(port)).toMatchObject({ pid: process.pid });
});

test("nobody holds a free port", async () => {
  server.close();
  await once(server, "close");
  expect(await portHolder(port)).toBeUndefined();
});

test("a taken port is a fault that names its holder", async () => {
  const fault = await portFault("vexlab:sshPort", port, "vexlab-unit", "/state");
  expect(fault?.problem).toContain(`process ${process.pid}`);
  expect(fault).toMatchObject({ key: "vexlab:sshPort", value: String(port) });
});

test("QEMU's word for a port that is taken gets the holder's name", async () => {
  const words = (rule: string): string =>
    `virsh start vexlab-ci: error: internal error: qemu: Could not set up host forwarding rule '${rule}'`;
  const failed = (text: string): LabError => new LabError(text, ExitCode.infrastructureFailed);
  expect(await namingHolder(failed(words(`tcp:127.0.0.1:${port}-:22`)))).toMatchObject({
    exitCode: ExitCode.infrastructureFailed,
    message: expect.stringMatching(
      `^the guest can't be started: port ${port} is taken by process ${process.pid} \\(`,
    ) as string,
  });
  const other = failed("virsh start vexlab-ci: no domain");
  expect(await namingHolder(other)).toBe(other);
});

test("reads every process of a line", () => {
  expect(holderPids('users:(("qemu-system-x86",pid=12,fd=3),("sh",pid=7,fd=3))')).toEqual([12, 7]);
  expect(holderPids("LISTEN 0 1 127.0.0.1:2222")).toEqual([]);
});
