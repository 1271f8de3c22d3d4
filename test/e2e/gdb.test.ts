/** gdb on a guest's kernel: a breakpoint in the loaded module, and what it sees there. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildResultSchema } from "../../lab/build/result.ts";
import { GuestSession } from "../../lab/guest/session.ts";
import { Checkout, expectExit } from "./support/checkout.ts";

const [sshPort, gdbPort] = [2987, 2986];
const commandMs = 30_000;

let checkout: Checkout;
let guest: GuestSession;

beforeAll(async () => {
  checkout = await Checkout.make();
  await checkout.quickSuites();
  await checkout.configure("ci", { sshPort, gdbPort });
  expectExit(await checkout.vexlab(["up", "ci"]), 0);
  const folder = checkout.path(".vexlab/stacks/ci");
  const address = {
    ...{ host: "127.0.0.1", port: sshPort, user: "vexfs" },
    privateKeyFile: join(folder, "id_ed25519"),
    knownHostsFile: join(folder, "known_hosts"),
  };
  guest = await GuestSession.connect(address, { deadlineMs: commandMs });
});

afterAll(async () => {
  // There is none where something failed before.
  (guest as GuestSession | undefined)?.close();
  await checkout.vexlab(["destroy", "ci"]);
  await checkout.remove();
});

async function inGuest(...argv: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await guest.run(argv, { deadlineMs: commandMs });
  expect(exitCode, stderr).toBe(0);
  return stdout;
}

/** The built tree of the stack. */
async function builtTree(): Promise<string> {
  const builds = checkout.path(".vexlab/builds/ci");
  for (const name of await readdir(builds)) {
    const text = await readFile(join(builds, name, "result.json"), "utf8").catch(() => undefined);
    if (text !== undefined) return buildResultSchema.parse(JSON.parse(text)).folder;
  }
  throw new Error("the stack has no build");
}

test("a module that is not loaded is said to be missing", async () => {
  const ended = expectExit(await checkout.vexlab(["gdb", "ci", "--batch"]), 2);
  expect(ended.all).toMatch(/no module that was built for stack ci is loaded/);
});

test("gdb stops in the module and reads what it works on", async () => {
  const tree = await builtTree();
  await guest.upload(join(tree, "kernel/vexfs.ko"), "/tmp/vexfs.ko");
  await guest.upload(join(tree, "rust/target/release/vexctl"), "/tmp/vexctl", 0o755);
  const disk = "/dev/disk/by-id/virtio-vexlab-test";
  await inGuest("sudo", "insmod", "/tmp/vexfs.ko");
  const made = await inGuest("sudo", "/tmp/vexctl", "mkfs", disk);
  const blocks = /: (\d+) blocks of/.exec(made)?.[1];
  await inGuest("sudo", "mount", "-t", "vexfs", disk, "/mnt");

  // Ends when gdb has come and gone; asked again and again, since gdb takes its time to come.
  const ask = "for i in $(seq 60); do stat -f /mnt; sleep 0.5; done";
  const asking = guest.run(["sh", "-c", ask], { deadlineMs: 2 * commandMs });
  const commands = [
    "break vexfs_statfs",
    "continue",
    "print ((struct vexfs_sb *)dentry->d_sb->s_fs_info)->block_count",
    "backtrace 1",
    "delete",
  ];
  const words = commands.flatMap((command) => ["--execute", command]);
  const ended = expectExit(await checkout.vexlab(["gdb", "ci", "--batch", ...words]), 0);
  expect(ended.all).toMatch(/hit Breakpoint 1, vexfs_statfs \(dentry=0x/);
  expect(ended.all).toMatch(/super\.c:\d+/);
  expect(ended.all).toContain(`$1 = ${blocks}`);
  // The guest runs on.
  expect((await asking).exitCode).toBe(0);
});

test("the memory of the guest is kept on request, and gdb finds the module in it", async () => {
  const dump = expectExit(await checkout.vexlab(["dump", "ci"]), 0);
  const script = /^gdb -x (\S+)$/m.exec(dump.stdout)?.[1] ?? "";
  expect(dump.stdout).toMatch(/^crash \S+\/vmlinux-6\.1\.\S+ \S+memory\.core$/m);
  const { stdout } = await execa("gdb", ["-nx", "-batch", "-x", script, "-ex", "info threads"]);
  expect(stdout).toMatch(/^vexlab: module vexfs at 0xffffffff/m);
  expect(stdout).toMatch(/^\* 1 +LWP 1 /m);
  // The guest runs on.
  await inGuest("true");
});
