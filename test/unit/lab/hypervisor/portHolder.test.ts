import { once } from "node:events";
import { createServer, type Server } from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { holderPids, portFault, portHolder } from "../../../../lab/hypervisor/portHolder.ts";

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

test("reads every process of a line", () => {
  expect(holderPids('users:(("qemu-system-x86",pid=12,fd=3),("sh",pid=7,fd=3))')).toEqual([12, 7]);
  expect(holderPids("LISTEN 0 1 127.0.0.1:2222")).toEqual([]);
});
