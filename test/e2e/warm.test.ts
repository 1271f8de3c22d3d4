/** Warm images: starts and tests in seconds, guests of their own, and always a way back to a boot. */
import { existsSync } from "node:fs";
import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { daemonFolder, places } from "../../lab/config/places.ts";
import { connectionUri } from "../../lab/hypervisor/connection.ts";
import { domainNames } from "../../lab/hypervisor/virsh.ts";
import { hashFile } from "../../lab/image/checksum.ts";
import { Checkout, expectExit } from "./support/checkout.ts";

const FORK_LINE = /start from the warm image: done/;

let checkout: Checkout;

beforeAll(async () => {
  checkout = await Checkout.make();
  await checkout.quickSuites();
  await checkout.configure("ci", { sshPort: 2997 });
  // Makes the warm image unless an earlier test did.
  expectExit(await checkout.vexlab(["up", "ci"]), 0);
});

afterAll(async () => {
  // The second is there only where its case has failed; its guest would hold the next file's port.
  for (const stack of ["ci", "twin"]) await checkout.vexlab(["destroy", stack]);
  await checkout.remove();
});

const inGuest = async (script: string): Promise<string> =>
  expectExit(await checkout.ssh("ci", script), 0).stdout.trim();

const domains = (): Promise<string[]> => {
  const folder = daemonFolder({ ...places(), state: checkout.path(".vexlab") });
  return domainNames(connectionUri("qemu:///session", folder));
};

/** The only stack's warm image. */
async function usedWarmImage(): Promise<string> {
  const warm = join(places().cache, "warm");
  for (const name of await readdir(warm)) {
    const key = /^(.*)\.users$/.exec(name)?.[1];
    if (key === undefined) continue;
    for (const user of await readdir(join(warm, name))) {
      const folder = await readFile(join(warm, name, user), "utf8");
      if (folder.trim() === checkout.path(".vexlab/stacks/ci")) return join(warm, key);
    }
  }
  throw new Error("the stack uses no warm image");
}

describe("up", () => {
  test("starts from the warm image, and Pulumi sees no difference", async () => {
    expectExit(await checkout.vexlab(["destroy", "ci"]), 0);
    const up = expectExit(await checkout.vexlab(["up", "ci"]), 0);
    expect(up.all).toMatch(FORK_LINE);
    expect(up.all).not.toContain("boot and save");
    expect(await checkout.planned("ci")).toEqual({});
    expect(await checkout.planned("ci", "--refresh")).toEqual({});
  });

  test("leaves a definition that knows nothing of it", async () => {
    const folder = daemonFolder({ ...places(), state: checkout.path(".vexlab") });
    const uri = connectionUri("qemu:///session", folder);
    const argv = ["-c", uri, "dumpxml", "--inactive", "vexlab-ci"];
    const { stdout } = await execa("virsh", argv);
    expect(stdout).not.toMatch(/incoming|memory-backend-file/);
    expect(stdout).toContain("root.qcow2");
  });

  test("takes little of the disk", async () => {
    const { stdout } = await execa("du", ["-sk", checkout.path(".vexlab/stacks/ci")]);
    expect(Number(stdout.split("\t")[0]) / 1024).toBeLessThan(50);
  });
});

describe("reset", () => {
  test("gives a guest of its own, without a trace of the last", async () => {
    const identity =
      "hostname; cat /etc/machine-id; cat /etc/ssh/ssh_host_ed25519_key.pub; cat /proc/sys/kernel/random/uuid; date +%s";
    const before = (await inGuest(identity)).split("\n");
    const traces =
      "echo trace | sudo tee /root/trace >/dev/null; echo a-trace | sudo tee /dev/kmsg >/dev/null; " +
      "sudo dd if=/dev/urandom of=/dev/disk/by-id/virtio-vexlab-test bs=1M count=1 status=none; " +
      "sudo modprobe dummy; sudo sync";
    await inGuest(traces);
    const reset = expectExit(await checkout.vexlab(["reset", "ci"]), 0);
    expect(reset.all).toMatch(FORK_LINE);
    // The pinned key is the new one: OpenSSH's client accepts nothing else.
    const after = (await inGuest(identity)).split("\n");
    expect(after[0]).toBe("vexlab-ci");
    for (const line of [1, 2, 3]) expect(after[line]).not.toBe(before[line]);
    expect(Math.abs(Number(after[4]) - Date.now() / 1000)).toBeLessThan(10);
    const look =
      "sudo ls /root/trace 2>/dev/null; sudo dmesg | grep a-trace; lsmod | grep ^dummy; " +
      "cat /proc/sys/kernel/tainted; findmnt -no SOURCE /mnt/vexfs-src; " +
      "sudo od -An -N8 -tx1 /dev/disk/by-id/virtio-vexlab-test; systemctl --failed --no-legend";
    const found = (await inGuest(look)).split("\n").map((line) => line.trim());
    expect(found).toEqual(["0", "vexfs-src", "00 00 00 00 00 00 00 00"]);
    expect(await checkout.planned("ci", "--refresh")).toEqual({});
  });
});

describe("test", () => {
  test("runs beside the stack's own guest and leaves nothing", async () => {
    await inGuest("echo mine >~/mine; sudo sh -c 'sleep 1000 >/dev/null 2>&1 &'");
    const { all } = expectExit(await checkout.vexlab(["test", "build-system", "--stack", "ci"]), 0);
    expect(all).toContain("PASSED");
    expect(all).toMatch(/guest \d/);
    expect(await inGuest("cat ~/mine; pgrep -c sleep; cat /proc/sys/kernel/tainted")).toBe(
      "mine\n1\n0",
    );
    expect(await domains()).toEqual(["vexlab-ci"]);
    const forks = checkout.path(".vexlab/stacks/ci/forks");
    expect(existsSync(forks) ? await readdir(forks) : []).toEqual([]);
  });

  test("suites at once can't disturb each other, and are told in the manifest's order", async () => {
    const manifest = await checkout.read("examples/vexfs/vexlab.yaml");
    const script = `#!/bin/sh
echo "KTAP version 1"
echo 1..2
disk=$(readlink -f "$VEXLAB_TEST_DISK")
[ "$(head -c 5 "$disk" | tr -d '\\0')" = "" ] && echo "ok 1 the disk is empty" || echo "not ok 1 the disk is empty"
echo mark | dd of="$disk" conv=fsync status=none
modprobe dummy && [ "$(lsmod | grep -c '^dummy')" = 1 ]
sleep "$1"
rmmod dummy && echo "ok 2 nobody else took my module" || echo "not ok 2 nobody else took my module"
`;
    await writeFile(checkout.path("examples/vexfs/tests/alone.sh"), script, { mode: 0o755 });
    const suites = ["slow", "fast"].map(
      (name, index) =>
        `  - name: ${name}\n    command: [tests/alone.sh, "${index === 0 ? 4 : 0}"]\n    load: false\n`,
    );
    await checkout.write("examples/vexfs/vexlab.yaml", `${manifest.trimEnd()}\n${suites.join("")}`);
    const argv = ["test", "slow", "fast", "--stack", "ci", "--jobs", "2", "--json"];
    const { stdout } = expectExit(await checkout.vexlab(argv), 0);
    const report = JSON.parse(stdout) as { suites: { name: string; cases: unknown[] }[] };
    expect(report.suites.map(({ name, cases }) => `${name} ${cases.length}`)).toEqual([
      "slow 2",
      "fast 2",
    ]);
    await rm(checkout.path("examples/vexfs/tests/alone.sh"));
    await checkout.write("examples/vexfs/vexlab.yaml", manifest);
  });
});

describe("watch", () => {
  test("judges each change of the sources, with a guest standing by, until it is ended", async () => {
    const watch = execa(
      checkout.path("scripts/vexlab"),
      ["watch", "build-system", "--stack", "ci"],
      { cwd: checkout.folder, stdin: "ignore", all: true, reject: false },
    );
    let seen = "";
    watch.all.on("data", (chunk: Buffer) => {
      seen += chunk.toString();
    });
    const next = async (text: string): Promise<string> => {
      await expect.poll(() => seen, { timeout: 90_000, interval: 50 }).toContain(text);
      const turn = seen;
      seen = "";
      return turn;
    };
    const waiting = "waiting for changes";
    const source = "examples/vexfs/kernel/super.c";
    const good = await checkout.read(source);
    try {
      expect(await next(waiting)).toContain("PASSED");
      await checkout.write(source, `${good}int not_c = ;\n`);
      expect(await next(waiting)).toMatch(/super\.c:\d+.*error/);
      await checkout.write(source, good);
      expect(await next(waiting)).toContain("PASSED");
      // The stack's own guest, and the one that waits for the next change.
      await expect.poll(async () => (await domains()).length, { timeout: 20_000 }).toBe(2);
      watch.kill("SIGINT");
      expect((await watch).exitCode).toBe(130);
      expect(await domains()).toEqual(["vexlab-ci"]);
    } finally {
      await checkout.write(source, good);
      watch.kill("SIGKILL");
    }
  });
});

describe("back to a boot", () => {
  test("a guest that is stopped and started by hand boots cold, as the same guest", async () => {
    const who = "hostname; cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub";
    const before = await inGuest(who);
    expectExit(await checkout.vexlab(["vm", "stop", "--stack", "ci"]), 0);
    expectExit(await checkout.vexlab(["vm", "start", "--stack", "ci"]), 0);
    expectExit(await checkout.vexlab(["vm", "wait", "--stack", "ci"]), 0);
    expect(await inGuest(who)).toBe(before);
    expect(await inGuest("uptime -s; cat /proc/sys/kernel/tainted")).toMatch(/^20.*\n0$/);
  });

  test("a state that can't be resumed is told, and the guest boots", async () => {
    const warm = await usedWarmImage();
    const state = join(warm, "state");
    await rename(state, join(warm, "state.kept"));
    const manifest = await readFile(join(warm, "warm.json"), "utf8");
    try {
      // The right sum for the wrong content: what a newer QEMU might make of an old state.
      await writeFile(state, "not a state");
      const changed = JSON.parse(manifest) as { files: Record<string, { sha256: string }> };
      const entry = changed.files["state"];
      if (entry) entry.sha256 = await hashFile(state);
      await writeFile(join(warm, "warm.json"), JSON.stringify(changed));
      const { all } = expectExit(await checkout.vexlab(["reset", "ci"]), 0);
      expect(all).toMatch(/no warm start: .*; booting cold/);
      expectExit(await checkout.vexlab(["vm", "wait", "--stack", "ci"]), 0);
      expect(await inGuest("cat /proc/sys/kernel/tainted")).toBe("0");
    } finally {
      await rename(join(warm, "state.kept"), state);
      await writeFile(join(warm, "warm.json"), manifest);
    }
  });

  test("SIGKILL while a guest is saved leaves no half image; two next ups make it once", async () => {
    expectExit(await checkout.vexlab(["destroy", "ci"]), 0);
    // A guest that nobody has saved yet.
    const memory = `${600 + (process.pid % 100)}M`;
    await checkout.configure("ci", { memory });
    await checkout.write("stacks/Pulumi.twin.yaml", await checkout.read("stacks/Pulumi.ci.yaml"));
    await checkout.configure("twin", { sshPort: 2996 });
    const warm = join(places().cache, "warm");
    const finished = async (): Promise<string[]> =>
      (await readdir(warm)).filter((name) => /^[0-9a-f]{16}$/.test(name));
    const before = await finished();
    const run = execa(checkout.path("scripts/vexlab"), ["up", "ci"], {
      cwd: checkout.folder,
      stdin: "ignore",
      all: true,
      reject: false,
      detached: true,
    });
    let seen = "";
    run.all.on("data", (chunk: Buffer) => {
      seen += chunk.toString();
    });
    await expect.poll(() => seen, { timeout: 120_000, interval: 50 }).toContain("  systemd");
    if (run.pid !== undefined) process.kill(-run.pid, "SIGKILL");
    await execa("pkill", ["-KILL", "-f", `${checkout.folder}.*(pulumi|vexlab|cli/main)`], {
      reject: false,
    });
    await run;
    expect(await finished()).toEqual(before);
    const stacks = ["ci", "twin"];
    const ups = await Promise.all(stacks.map((stack) => checkout.vexlab(["up", stack])));
    const outputs = ups.map((up) => expectExit(up, 0).all);
    for (const output of outputs) expect(output).toMatch(FORK_LINE);
    expect(outputs.filter((output) => output.includes("boot and save"))).toHaveLength(1);
    // An older one may have been evicted for it.
    const made = (await finished()).filter((name) => !before.includes(name));
    expect(made).toHaveLength(1);
    // Another checkout may be making one.
    const left = (await readdir(warm)).filter((name) => {
      const maker = /^\.building-(\d+)-/.exec(name)?.[1];
      return maker !== undefined && !existsSync(`/proc/${maker}`);
    });
    expect(left).toEqual([]);
    // In the order in which they were defined, and either may have been the first.
    expect((await domains()).toSorted()).toEqual(["vexlab-ci", "vexlab-twin"]);
    const used = await usedWarmImage();
    for (const stack of stacks) expectExit(await checkout.vexlab(["destroy", stack]), 0);
    await rm(used, { recursive: true });
  });
});
