/** Failed, killed and cancelled at bad moments: the next `up` works, and `destroy` leaves nothing. */
import { existsSync } from "node:fs";
import { mkdir, rmdir } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { daemonFolder, places } from "../../lab/config/places.ts";
import { Checkout, expectExit } from "./support/checkout.ts";

let checkout: Checkout;

beforeAll(async () => {
  checkout = await Checkout.make();
  await checkout.quickSuites();
  await checkout.configure("ci", { sshPort: 2992 });
});

afterAll(async () => {
  await checkout.vexlab(["destroy", "ci"]);
  await checkout.remove();
});

/** Starts a verb in a process group of its own, as a terminal would. */
function start(verb: string) {
  return execa(checkout.path("scripts/vexlab"), [verb, "ci"], {
    cwd: checkout.folder,
    stdin: "ignore",
    all: true,
    reject: false,
    detached: true,
  });
}

type Run = ReturnType<typeof start>;

/** Waits until the run has printed a text. */
async function printed(run: Run, text: string): Promise<void> {
  let seen = "";
  run.all.on("data", (chunk: Buffer) => {
    seen += chunk.toString();
  });
  await vi.waitFor(() => expect(seen).toContain(text), { timeout: 120_000, interval: 50 });
}

/** Kills the run and everything that it started, as a crash of the session would. */
async function killAll(run: Run): Promise<void> {
  const { stdout } = await execa("pgrep", ["-f", checkout.folder], { reject: false });
  const daemon = daemonFolder({ ...places(), state: checkout.path(".vexlab") });
  if (run.pid !== undefined) process.kill(-run.pid, "SIGKILL");
  for (const pid of stdout.split("\n").filter(Boolean).map(Number)) {
    const { stdout: words } = await execa("ps", ["-o", "args=", "-p", String(pid)], {
      reject: false,
    });
    // The guest and its daemon outlive a killed session in real life, too.
    if (words.includes("qemu-system") || words.includes(daemon)) continue;
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself.
    }
  }
  await run;
}

test("a guest whose start fails is not in the next run's way", async () => {
  const consoleFile = checkout.path(".vexlab/stacks/ci/console.log");
  await mkdir(consoleFile, { recursive: true });
  const failed = expectExit(await checkout.vexlab(["up", "ci"]), 3);
  expect(failed.all).toMatch(/console\.log.*directory/);
  await rmdir(consoleFile);
  // The next `up` is that of the next test: it would say that the domain already exists.
});

test("SIGKILL while the machine is made: the next run says so and goes on", async () => {
  const run = start("up");
  await printed(run, "machine-domain creating");
  await killAll(run);
  const again = start("up");
  await printed(again, "guest-wait");
  await sleep(3_000);
  // Ctrl-C, as a terminal sends it: once, to the whole process group.
  if (again.pid !== undefined) process.kill(-again.pid, "SIGINT");
  const cancelled = await again;
  expect(cancelled.exitCode, cancelled.all).toBe(130);
  expectExit(await checkout.vexlab(["up", "ci"]), 0);
});

test("SIGKILL during a destroy: the next destroy finishes it", async () => {
  const destroying = start("destroy");
  await printed(destroying, "machine-domain");
  await killAll(destroying);
  expectExit(await checkout.vexlab(["destroy", "ci"]), 0);
  expect(existsSync(checkout.path(".vexlab/stacks/ci"))).toBe(false);
});
