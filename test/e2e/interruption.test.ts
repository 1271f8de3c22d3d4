/** Failed, killed and cancelled at bad moments: the next `up` works, and `destroy` leaves nothing. */
import { existsSync } from "node:fs";
import { mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
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
function start(verb: string, environment: Readonly<Record<string, string>> = {}) {
  return execa(checkout.path("scripts/vexlab"), [verb, "ci"], {
    cwd: checkout.folder,
    env: environment,
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

/** Stops the libvirt provider of the run. @returns its number */
async function stopProvider(): Promise<number> {
  const { stdout } = await execa("pgrep", ["-f", "terraform-provider-libvirt"]);
  const environments = await Promise.all(
    stdout.split("\n").map(async (pid) => {
      const text = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
      return { pid: Number(pid), text };
    }),
  );
  const own = environments.filter(({ text }) => text.includes(`=${checkout.path(".vexlab")}/`));
  expect(own).toHaveLength(1);
  const pid = own[0]?.pid ?? 0;
  process.kill(pid, "SIGSTOP");
  return pid;
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

test("a libvirt provider that hangs is killed, and the run goes on", async () => {
  const run = start("up", { VEXLAB_PROVIDER_SECONDS: "20" });
  await printed(run, "cloud-init-iso creating");
  const provider = await stopProvider();
  const up = await run;
  expect(up.exitCode, up.all).toBe(0);
  expect(up.all).toMatch(/the libvirt provider did not end .* within 20 s: it is killed/);
  expect(up.all).toContain("] once more\n");
  expect(up.all).toContain("PASSED");
  expect(existsSync(`/proc/${provider}`)).toBe(false);
});

test("a disk that Pulumi doesn't know of is not in a destroy's way", async () => {
  const folder = checkout.path(".vexlab/stacks/ci");
  await writeFile(join(folder, "pool", "unknown.img"), "left by a provider that was killed");
  const destroyed = expectExit(await checkout.vexlab(["destroy", "ci"]), 0);
  expect(destroyed.all).toMatch(/left of a run that failed, removed: .*unknown\.img/);
  expect(existsSync(folder)).toBe(false);
});
