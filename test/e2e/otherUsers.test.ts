/**
 * Others than the caller: an ordinary user, and QEMU's own user under the system's libvirt. Both get
 * at a cache of their own, a copy of the caller's image and toolchain.
 */
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { userInfo } from "node:os";
import { basename, dirname, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { places } from "../../lab/config/places.ts";
import { Checkout, expectExit } from "./support/checkout.ts";

const USER = "vexlab-e2e";
const SYSTEM = "qemu:///system";
const isRoot = userInfo().uid === 0;

// Making a user and starting the system's daemon is root's. For everyone else the whole suite has
// just run as an ordinary user.
describe.runIf(isRoot)("another user", () => {
  let shared: string;
  const cache = (): string => join(shared, "c");

  beforeAll(async () => {
    // Short, for the daemon's sockets; not below /tmp, which may be too small for a copy.
    shared = await mkdtemp("/var/tmp/vexlab-");
    await chmod(shared, 0o755);
    const from = places().cache;
    const images = await readdir(join(from, "images"));
    const image = images.find((name) => /^debian-12-[0-9a-f]+$/.test(name)) ?? "no image";
    const toolchain = basename(dirname(process.env["PULUMI_HOME"] ?? ""));
    for (const part of ["recipes", `images/${image}`, `toolchain/${toolchain}`]) {
      await mkdir(dirname(join(cache(), part)), { recursive: true });
      await execa("cp", ["-a", "--reflink=auto", join(from, part), join(cache(), part)]);
    }
    await execa("useradd", ["--create-home", "--shell", "/bin/bash", USER], { reject: false });
  });

  afterAll(async () => {
    await execa("userdel", ["--remove", USER], { reject: false });
    await rm(shared, { recursive: true, force: true });
  });

  test(
    "QEMU's own user runs the guest of the system's libvirt",
    async () => {
      const stopDaemons = await startSystemLibvirt(shared);
      const checkout = await Checkout.make(shared, { VEXLAB_CACHE_DIR: cache() });
      await chmod(checkout.folder, 0o755);
      try {
        await checkout.quickSuites();
        await checkout.configure("ci", { sshPort: 2996, libvirtUri: SYSTEM });
        expectExit(await checkout.vexlab(["up", "ci"]), 0);
        const { stdout } = await execa("ps", ["-eo", "user:20=,args="]);
        const guest = stdout.split("\n").find((line) => line.includes("guest=vexlab-ci,"));
        expect(guest).toMatch(/^libvirt-qemu /);
        expect(await checkout.planned("ci", "--refresh")).toEqual({});
        expectExit(await checkout.vexlab(["destroy", "ci"]), 0);
        const { stdout: left } = await execa("virsh", ["-c", SYSTEM, "list", "--all", "--name"]);
        expect(left).not.toContain("vexlab-ci");
      } finally {
        await checkout.vexlab(["destroy", "ci"]);
        await stopDaemons();
      }
      await checkout.remove();
    },
    15 * 60_000,
  );

  test("an ordinary user brings a stack up, tests and destroys it, without root", async () => {
    const checkout = await Checkout.make(shared, { VEXLAB_CACHE_DIR: cache() });
    // The caller's packages may lie where others may not go.
    for (const part of ["node_modules", "sdks"]) {
      const link = checkout.path(part);
      const { stdout: target } = await execa("readlink", ["-f", link]);
      await rm(link);
      await execa("cp", ["-a", "--reflink=auto", target, link]);
    }
    await checkout.quickSuites();
    await checkout.configure("ci", { sshPort: 2995 });
    await execa("chown", ["-R", `${USER}:`, checkout.folder, cache()]);
    const as = (...words: string[]) =>
      checkout.run([
        ...["runuser", "-u", USER, "--", "env", `HOME=/home/${USER}`, "XDG_RUNTIME_DIR="],
        ...["scripts/vexlab", ...words],
      ]);
    try {
      const { all } = expectExit(await as("up", "ci"), 0);
      expect(all).toContain("passed");
      const { stdout } = await execa("pgrep", ["-u", USER, "-f", "guest=vexlab-ci,"]);
      expect(stdout).toMatch(/^\d+$/);
      expectExit(await as("module", "test", "--stack", "ci"), 0);
      // Nothing of vexlab's went where Pulumi keeps a user's own settings and plugins.
      expect(existsSync(`/home/${USER}/.pulumi`)).toBe(false);
    } finally {
      expectExit(await as("destroy", "ci"), 0);
    }
    const { stdout: left } = await execa("ps", ["-u", USER, "-o", "stat=,args="], {
      reject: false,
    });
    // A daemon that nobody waited for stays as a zombie where process 1 does not reap.
    const alive = left.split("\n").filter((line) => line !== "" && !line.startsWith("Z"));
    expect(alive.filter((line) => /libvirtd|qemu/.test(line))).toEqual([]);
    await checkout.remove();
  });
});

/** Starts the system's libvirt where no service manager did; returns what stops it again. */
async function startSystemLibvirt(folder: string): Promise<() => Promise<void>> {
  const asked = await execa("virsh", ["-c", SYSTEM, "version"], { reject: false });
  if (asked.exitCode === 0) return () => Promise.resolve();
  const pidFiles = ["virtlogd", "libvirtd"].map((daemon) => join(folder, `${daemon}.pid`));
  await mkdir("/var/log/libvirt", { recursive: true });
  await execa("virtlogd", ["--daemon", "--pid-file", pidFiles[0] ?? ""]);
  await execa("libvirtd", ["--daemon", "--pid-file", pidFiles[1] ?? ""]);
  // It first asks each emulator what it can do, which takes a minute where KVM is broken.
  await expect
    .poll(
      async () => (await execa("virsh", ["-c", SYSTEM, "version"], { reject: false })).exitCode,
      { timeout: 240_000 },
    )
    .toBe(0);
  return async () => {
    for (const file of pidFiles.reverse()) await execa("pkill", ["--pidfile", file]);
  };
}
