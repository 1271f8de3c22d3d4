import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { holdDaemon, stopUnlessNeeded } from "../../../../lab/hypervisor/daemonUse.ts";

let state: string;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "vexlab-hold-"));
  vi.stubEnv("VEXLAB_STATE_DIR", state);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(state, { recursive: true });
});

it("a daemon that a living process holds is not stopped, nor asked", async () => {
  const folder = join(state, "daemon-holds");
  await mkdir(folder);
  // Beyond the largest number of a process (pid_max).
  await writeFile(join(folder, "4194305"), "");
  const letGo = await holdDaemon();
  expect(await stopUnlessNeeded()).toEqual({
    stopped: false,
    neededBy: [`process ${process.pid}`],
  });
  expect(existsSync(join(folder, "4194305"))).toBe(false);
  await letGo();
  expect(existsSync(join(folder, String(process.pid)))).toBe(false);
});
