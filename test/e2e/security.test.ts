/** What a hostile guest can't do to its host: the claims of docs/security.md, tried from inside. */
import { mkdir, readdir, readFile, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo, type Server } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildResultSchema } from "../../lab/build/result.ts";
import { daemonFolder, places } from "../../lab/config/places.ts";
import { makeKeyPair } from "../../lab/guest/ed25519.ts";
import { GuestSession } from "../../lab/guest/session.ts";
import { fullLogBytes } from "../../lab/hypervisor/daemon.ts";
import { processIds } from "../../lab/hypervisor/processes.ts";
import { Checkout, expectExit } from "./support/checkout.ts";

const sshPort = 2984;
const source = "test/fixtures/hostile";
const commandMs = 60_000;
const stackFolder = (): string => checkout.path(".vexlab/stacks/ci");

let checkout: Checkout;
let guest: GuestSession;
let listener: Server;

beforeAll(async () => {
  checkout = await Checkout.make();
  await checkout.configure("ci", { sshPort, source });
  expectExit(await checkout.vexlab(["up", "ci"]), 0);
  // The share is live; a build would refuse sources with such links.
  await mkdir(checkout.path("outside"));
  await writeFile(checkout.path("outside/secret"), "the host's secret\n");
  await symlink(checkout.path("outside/secret"), checkout.path(source, "link"));
  await symlink("../../../outside/secret", checkout.path(source, "relative"));
  await symlink(checkout.path("outside"), checkout.path(source, "folder"));
  listener = createServer((socket) => socket.end("a service of the host's\n"));
  await new Promise<void>((resolve) => listener.listen(0, "0.0.0.0", resolve));
  guest = await connect();
});

afterAll(async () => {
  // There is none where something failed before.
  (guest as GuestSession | undefined)?.close();
  (listener as Server | undefined)?.close();
  await checkout.vexlab(["destroy", "ci"]);
  await checkout.remove();
});

function connect(): Promise<GuestSession> {
  const address = {
    ...{ host: "127.0.0.1", port: sshPort, user: "vexfs" },
    privateKeyFile: join(stackFolder(), "id_ed25519"),
    knownHostsFile: join(stackFolder(), "known_hosts"),
  };
  return GuestSession.connect(address, { deadlineMs: commandMs });
}

/** Runs a script as root in the guest. */
async function asRoot(script: string): Promise<string> {
  const argv = ["sudo", "-n", "sh", "-c", script];
  const { exitCode, stdout, stderr } = await guest.run(argv, { deadlineMs: commandMs });
  expect(exitCode, stderr).toBe(0);
  return stdout;
}

/** QEMU's process of the stack's own guest. */
async function qemu(): Promise<{ readonly pid: number; readonly words: readonly string[] }> {
  for (const name of await processIds()) {
    const text = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
    const words = text.split("\0");
    const isOurs = words.some((word) => word.startsWith("guest=vexlab-ci,"));
    if (isOurs && text.includes(checkout.folder)) return { pid: Number(name), words };
  }
  throw new Error("QEMU does not run");
}

const openssh = (...options: string[]) =>
  execa(
    "ssh",
    [
      ...["-F", "none", "-p", String(sshPort), "-o", "ConnectTimeout=30"],
      ...["-o", `UserKnownHostsFile=${join(stackFolder(), "known_hosts")}`],
      ...["-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"],
      ...[...options, "vexfs@127.0.0.1", "true"],
    ],
    { reject: false, stdin: "ignore", timeout: commandMs, env: { SSH_AUTH_SOCK: "" } },
  );

describe("the share", () => {
  /** What lies in the shared folder, with contents and modes. */
  async function shared(): Promise<string> {
    const { stdout } = await execa("tar", ["--create", "--sort=name", "--file=-", "."], {
      cwd: checkout.path(source),
      encoding: "buffer",
    });
    return Buffer.from(stdout).toString("base64");
  }

  test("is not written to, however it is mounted", async () => {
    const before = await shared();
    const answer = await asRoot(`
      umount /mnt/vexfs-src && mkdir -p /tmp/rw && cd /tmp || exit
      mount -t 9p -o trans=virtio,version=9p2000.L,rw vexfs-src /tmp/rw || exit
      grep -c ' /tmp/rw 9p rw' /proc/mounts
      for change in 'echo x >rw/vexlab.yaml' 'echo x >>rw/vexlab.yaml' 'echo x >rw/made' \\
          'mkdir rw/made' 'rm rw/vexlab.yaml' 'mv rw/tests rw/moved' 'chmod 777 rw/vexlab.yaml' \\
          'ln -s /etc rw/made' 'ln rw/vexlab.yaml rw/made' 'mkfifo rw/made' 'touch rw/vexlab.yaml'; do
        sh -c "$change" 2>/dev/null && echo "done: $change"
      done
      umount /tmp/rw && mount /mnt/vexfs-src`);
    expect(answer.trim()).toBe("1");
    expect(await shared()).toBe(before);
  });

  test("is not left through links or parents", async () => {
    const secret = checkout.path("outside/secret");
    const answer = await asRoot(`
      mkdir -p '${checkout.path("outside")}' && echo "the guest's" >'${secret}' || exit
      cd /mnt/vexfs-src && readlink link && cat link; cat folder/secret; cat relative
      cat ../../../../../..'${secret}'; ls -A /mnt`);
    // The links are the guest's to follow, in its own tree.
    expect(answer.split("\n")).toEqual([
      secret,
      ...Array<string>(3).fill("the guest's"),
      "vexfs-src",
      "",
    ]);
  });

  test("gives a hostile kernel no more: not outside of the folder, and no change in it", async () => {
    const before = await shared();
    const builds = checkout.path(".vexlab/builds/ci");
    const found = (await readdir(builds, { recursive: true })).find((name) =>
      /^[^/]+\/result\.json$/.test(name),
    );
    const result = await readFile(join(builds, found ?? "no build"), "utf8");
    const { folder } = buildResultSchema.parse(JSON.parse(result));
    await guest.upload(join(folder, "hostile.ko"), "/tmp/hostile.ko");
    const log = await asRoot(`
      umount /mnt/vexfs-src && dmesg --clear && insmod /tmp/hostile.ko; rmmod hostile
      mount /mnt/vexfs-src && dmesg`);
    const told = [...log.matchAll(/hostile: (\S+) (-?\d+)$/gm)].map(([, what, code]) => [
      what,
      Number(code),
    ]);
    const [EROFS, ENOENT, ELOOP] = [-30, -2, -40];
    expect(Object.fromEntries(told)).toEqual({
      "read-file": 0,
      "read-file-below": 0,
      "walk-link": 0,
      "walk-dotdot": ENOENT,
      "walk-dotdot-below": ENOENT,
      "walk-slash": ENOENT,
      "walk-absolute": ENOENT,
      "open-link": ELOOP,
      "open-relative-link": ELOOP,
      "walk-through-link": ENOENT,
      "open-through-link": ENOENT,
      "open-to-write": EROFS,
      "open-to-read-and-write": EROFS,
      "open-to-truncate": EROFS,
      create: EROFS,
      "make-folder": EROFS,
      "make-link": EROFS,
      "make-hard-link": EROFS,
      "make-pipe": EROFS,
      rename: EROFS,
      remove: EROFS,
      "change-mode": EROFS,
      truncate: EROFS,
    });
    expect(await shared()).toBe(before);
  });
});

test("the network: neither the host's services, its loopback among them, nor names, nor others", async () => {
  const { port } = listener.address() as AddressInfo;
  const own = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const addresses = own.filter(({ family, internal }) => family === "IPv4" && !internal);
  const answering = await execa("bash", [
    "-c",
    `read -r line </dev/tcp/127.0.0.1/${port}; echo "$line"`,
  ]);
  expect(answering.stdout).toBe("a service of the host's");
  const script = `
import socket, sys, threading
def attempt(host, port, kind):
    s = socket.socket(socket.AF_INET, kind)
    s.settimeout(4)
    try:
        s.connect((host, port))
        # A question for the address of "a".
        if kind == socket.SOCK_DGRAM: s.send(b"\\x00\\x01\\x01\\x00\\x00\\x01" + b"\\x00" * 6 + b"\\x01a\\x00\\x00\\x01\\x00\\x01")
        print("reached", host, port, s.recv(100), flush=True)
    except OSError:
        print("no answer", flush=True)
tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
places = [(host, ${port}, tcp) for host in sys.argv[1:]] + [("10.0.2.2", ${sshPort}, tcp), ("10.0.2.3", 53, udp), ("10.0.2.3", 53, tcp), ("8.8.8.8", 53, udp)]
for place in places: threading.Thread(target=attempt, args=place).start()`;
  const hosts = ["10.0.2.2", ...addresses.map(({ address }) => address)];
  const argv = ["python3", "-c", script, ...hosts];
  const { stdout } = await guest.run(argv, { deadlineMs: commandMs });
  expect(stdout.trim().split("\n")).toEqual(Array<string>(hosts.length + 4).fill("no answer"));
});

describe("QEMU", () => {
  test("is in its sandbox, and without any right that its user has not", async () => {
    const { pid, words } = await qemu();
    expect(words[words.indexOf("-sandbox") + 1]).toBe(
      "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
    );
    const status = await readFile(`/proc/${pid}/status`, "utf8");
    // A filter of system calls, for ever.
    expect(status).toMatch(/^Seccomp:\t2$/m);
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    for (const set of ["CapInh", "CapPrm", "CapEff", "CapAmb"])
      expect(status).toMatch(new RegExp(`^${set}:\\t0+$`, "m"));
    // What root starts is an ordinary user of another user namespace.
    const isRoot = process.getuid?.() === 0;
    const namespace = (of: string | number): Promise<string> => readlink(`/proc/${of}/ns/user`);
    expect((await namespace(pid)) !== (await namespace("self"))).toBe(isRoot);
  });

  test("has one network card, of its own, and no way to another guest", async () => {
    const { words } = await qemu();
    const after = (option: string): string[] => words.filter((_, at) => words[at - 1] === option);
    expect(after("-netdev")).toEqual([
      `user,id=ssh0,restrict=on,hostfwd=tcp:127.0.0.1:${sshPort}-:22`,
    ]);
    expect(after("-fsdev")).toHaveLength(1);
    expect(after("-fsdev")[0]).toMatch(/,readonly(=on)?$/);
    expect(words.join(" ")).not.toMatch(/ivshmem|vhost|-netdev socket|-chardev socket[^ ]*host=/);
  });
});

describe("SSH", () => {
  test("is by the stack's own key, and not by a password", async () => {
    const settings = await asRoot("/usr/sbin/sshd -T");
    expect(settings).toMatch(/^passwordauthentication no$/m);
    expect(settings).toMatch(/^kbdinteractiveauthentication no$/m);
    expect(settings).toMatch(/^permitemptypasswords no$/m);
    expect(await asRoot("getent shadow vexfs root | cut -d: -f2")).toMatch(/^([!*]\S*\n)+$/);

    const key = join(stackFolder(), "id_ed25519");
    expect((await openssh("-i", key)).exitCode).toBe(0);
    const other = checkout.path("another-key");
    await writeFile(other, makeKeyPair("another").privateKey, { mode: 0o600 });
    for (const options of [
      ["-i", other],
      ["-i", key, "-o", "PubkeyAuthentication=no"],
    ])
      expect(await openssh(...options)).toMatchObject({
        exitCode: 255,
        stderr: expect.stringContaining("Permission denied (publickey)") as unknown,
      });
  });

  test("has files that nobody else can read or use", async () => {
    const mode = async (path: string): Promise<string> =>
      ((await stat(path)).mode & 0o777).toString(8);
    for (const file of ["id_ed25519", "known_hosts", "guest.json", "console.log"])
      expect([file, await mode(join(stackFolder(), file))]).toEqual([file, "600"]);
    // To be passed through by QEMU, not to be listed.
    expect(await mode(stackFolder())).toBe("711");
    // The way to the agent, which runs commands as root.
    const daemon = daemonFolder({ ...places(), state: checkout.path(".vexlab") });
    expect(await mode(daemon)).toBe("700");
  });

  test("refuses a guest whose host key has changed, and says so", async () => {
    const replace = (from: string): Promise<string> =>
      asRoot(`cp ${from} /etc/ssh/ssh_host_ed25519_key
        chmod 600 /etc/ssh/ssh_host_ed25519_key; systemctl restart ssh`);
    await asRoot("cp -a /etc/ssh/ssh_host_ed25519_key /root/own");
    await asRoot("ssh-keygen -q -t ed25519 -N '' -f /root/new");
    await replace("/root/new");
    try {
      await expect(connect()).rejects.toMatchObject({
        fault: "host-key-changed",
        message: expect.stringContaining("has another host key than the pinned one") as unknown,
      });
      const ended = expectExit(await checkout.vexlab(["vm", "wait", "--stack", "ci"]), 3);
      expect(ended.all).toContain("has another host key than the pinned one");
      const { exitCode, stderr } = await openssh("-i", join(stackFolder(), "id_ed25519"));
      expect(exitCode).toBe(255);
      expect(stderr).toContain("REMOTE HOST IDENTIFICATION HAS CHANGED");
    } finally {
      await replace("/root/own");
    }
  });
});

test("a console without end takes a bounded part of the host's disk, and the guest goes on", async () => {
  const bytes = 2.25 * fullLogBytes;
  const written = await guest.run(
    ["sudo", "-n", "sh", "-c", `yes flood | head -c ${bytes} >/dev/ttyS0; echo $?`],
    { deadlineMs: 3 * 60_000 },
  );
  expect(written.stdout.trim()).toBe("0");
  const names = (await readdir(stackFolder())).filter((name) => name.startsWith("console.log"));
  expect(names.sort()).toEqual(["console.log", "console.log.0"]);
  for (const name of names) {
    const { size } = await stat(join(stackFolder(), name));
    expect(size).toBeLessThan(1.1 * fullLogBytes);
  }
  // What comes after it is still there to be read.
  await asRoot("echo 'after the flood' >/dev/ttyS0");
  const log = (): Promise<string> => readFile(join(stackFolder(), "console.log"), "utf8");
  await expect.poll(log, { timeout: 10_000 }).toContain("after the flood");
  await rm(checkout.path("outside"), { recursive: true });
});
