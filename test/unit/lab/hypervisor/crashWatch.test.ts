/** The watch, with a virsh of the test's own on PATH. */
import { ChildProcess } from "node:child_process";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { watchForCrash } from "../../../../lab/hypervisor/crashWatch.ts";

let folder: string;
const path = process.env["PATH"];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-watch-"));
  process.env["PATH"] = `${folder}:${path ?? ""}`;
});
afterEach(async () => {
  process.env["PATH"] = path;
  await rm(folder, { recursive: true });
});

async function virsh(...events: string[]): Promise<void> {
  const file = join(folder, "virsh");
  const lines = events.map((event) => `echo "event 'lifecycle' for domain 'dev': ${event}"`);
  const text = `#!/bin/sh\necho $$ >${folder}/pid\n${lines.join("\n")}\nexec sleep 60\n`;
  await writeFile(file, text);
  await chmod(file, 0o755);
}

const isAlive = async (): Promise<boolean> => {
  const pid = Number(await readFile(join(folder, "pid"), "utf8"));
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

test("tells once that the guest has crashed, and ends when it is no longer wanted", async () => {
  await virsh("Resumed Migrated", "Crashed Panicked", "Crashed Panicked");
  const crashed = vi.fn();
  const end = watchForCrash("test:///", "dev", crashed);
  await vi.waitFor(() => expect(crashed).toHaveBeenCalled(), { timeout: 5_000 });
  expect(await isAlive()).toBe(true);
  end();
  await vi.waitFor(async () => expect(await isAlive()).toBe(false), { timeout: 5_000 });
  expect(crashed).toHaveBeenCalledTimes(1);
});

test("tells nothing of other events", async () => {
  await virsh("Suspended Paused", "Stopped Crashed", "Shutdown Finished");
  const crashed = vi.fn();
  const end = watchForCrash("test:///", "dev", crashed);
  await vi.waitFor(isAlive, { timeout: 5_000 });
  await delay(100);
  end();
  expect(crashed).not.toHaveBeenCalled();
});

// Node would send the signal to whatever number stood in its memory: 0 ended all of this program's group.
test("tells nothing where its program is missing, and signals nobody when it ends", async () => {
  process.env["PATH"] = folder;
  const kill = vi.spyOn(ChildProcess.prototype, "kill");
  const crashed = vi.fn();
  watchForCrash("test:///", "dev", crashed)();
  await delay(100);
  expect(kill).not.toHaveBeenCalled();
  expect(crashed).not.toHaveBeenCalled();
  kill.mockRestore();
});
