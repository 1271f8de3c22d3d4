/**
 * The identity that guest/bin/vexlab-agent gives a copied guest, on a folder that stands for /: the
 * kernel's clock, random pool and disk buffers are left alone then, everything else is real. mount and
 * systemctl are small programs of the test's own.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmod,
  mkdir,
  readFile,
  readdir,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { userInfo } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseAnnouncement } from "../../../lab/guest/announcement.ts";
import type { GuestIdentity } from "../../../lab/guest/controlSession.ts";
import { makeKeyPair } from "../../../lab/guest/ed25519.ts";
import { parseHostKey } from "../../../lab/guest/knownHosts.ts";
import { ControlPort } from "../lab/guest/controlPort.ts";

const identity: GuestIdentity = {
  hostname: "fork-1",
  machineId: "0123456789abcdef0123456789abcdef",
  hostKey: { private: "PRIVATE\nKEY\n", public: makeKeyPair("fork-1").publicKey },
  authorizedKey: "ssh-ed25519 BBBB mine",
  instanceId: "fork-1-abc",
  mount: undefined,
  sshd: true,
};
const oldId = "f".repeat(32);
const home = userInfo().homedir;

let port: ControlPort;
let root: string;
beforeEach(async () => {
  port = await ControlPort.open();
  root = join(port.folder, "root");
  await put("etc/hostname", "template\n");
  await put(
    "etc/hosts",
    "127.0.0.1 localhost template\n# mine\n127.0.1.1 template template\n::1 localhost\n",
  );
  await put("proc/sys/kernel/hostname", "template\n");
  await put("etc/machine-id", `${oldId}\n`);
  await put(`run/log/journal/${oldId}/system.journal`, "");
  await put("var/lib/systemd/random-seed", "seed");
  for (const type of ["ed25519", "rsa"]) {
    await put(`etc/ssh/ssh_host_${type}_key`, "old");
    await put(`etc/ssh/ssh_host_${type}_key.pub`, "old");
  }
  await put("etc/ssh/sshd_config", "kept");
  await put(`${home}/.ssh/authorized_keys`, "old 1\nold 2\n");
  await put("var/lib/cloud/instances/template-xyz/sem/config_ssh", "");
  await put("var/lib/cloud/instances/template-xyz/obj.pkl", "pickle");
  await put("var/lib/cloud/instances/template-xyz/cloud-config.txt", "hostname: template");
  await symlink("/var/lib/cloud/instances/template-xyz", join(root, "var/lib/cloud/instance"));
  await put("var/lib/cloud/data/instance-id", "template-xyz\n");
  await put("run/cloud-init/.instance-id", "template-xyz\n");
  await put("run/cloud-init/result.json", '{"v1": {\n "datasource": "NoCloud", "errors": []}}\n');
  await put("dev/ttyS0", "");
  for (const program of ["mount", "systemctl"]) {
    await put(`bin/${program}`, `#!/bin/sh\necho ${program} "$@" >>${root}/called\n`);
    await chmod(join(root, "bin", program), 0o755);
  }
});
afterEach(() => port.close());

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
}

const text = (path: string): Promise<string> => readFile(join(root, path), "utf8");
const mode = async (path: string): Promise<number> => (await stat(join(root, path))).mode & 0o777;

async function renew(changes: Partial<GuestIdentity> = {}): Promise<string[]> {
  port.startAgent(root, { PATH: `${root}/bin:${process.env["PATH"] ?? ""}` });
  const session = await port.session();
  const problems = await session.renewIdentity({ ...identity, ...changes });
  session.close();
  return problems;
}

/** As sshd is: when it is hung up, nobody listens for a while. */
async function startSshd(): Promise<void> {
  const restart = "rm run/sshd.pid; sleep 0.3; echo listens >run/heard; echo $$ >run/sshd.pid";
  const script = `trap '${restart}; exit' HUP; echo; while :; do sleep 0.01; done`;
  const sshd = spawn("sh", ["-c", script], { cwd: root, stdio: ["ignore", "pipe", "ignore"] });
  await once(sshd.stdout, "data");
  await put("run/sshd.pid", `${sshd.pid ?? 0}\n`);
  await put(`proc/${sshd.pid ?? 0}/comm`, "sshd\n");
}

test("where nobody comes in by SSH, sshd takes its key later", async () => {
  await startSshd();
  expect(await renew({ sshd: false })).toEqual([]);
  expect(await text("etc/ssh/ssh_host_ed25519_key")).toBe("PRIVATE\nKEY\n");
  await expect(text("run/heard")).rejects.toThrow("ENOENT");
  await expect.poll(() => text("run/heard").catch(() => ""), { timeout: 10_000 }).toBe("listens\n");
  expect(port.complaints).toBe("");
}, 20_000);

test("names, keys and cloud-init's instance become the fork's; no child process", async () => {
  await startSshd();
  expect(await renew()).toEqual([]);
  expect(await text("run/heard")).toBe("listens\n");
  await expect(text("called")).rejects.toThrow("ENOENT");

  expect(await text("etc/hostname")).toBe("fork-1\n");
  expect(await text("proc/sys/kernel/hostname")).toBe("fork-1");
  expect(await text("etc/hosts")).toBe(
    "127.0.0.1\tlocalhost\tfork-1\n# mine\n127.0.1.1\tfork-1\tfork-1\n::1 localhost\n",
  );
  expect(await text("etc/machine-id")).toBe(`${identity.machineId}\n`);
  expect(await readdir(join(root, "run/log/journal", identity.machineId))).toEqual([
    "system.journal",
  ]);
  expect((await text("var/lib/systemd/random-seed")).length).toBeGreaterThan(100);

  expect((await readdir(join(root, "etc/ssh"))).sort()).toEqual([
    "ssh_host_ed25519_key",
    "ssh_host_ed25519_key.pub",
    "sshd_config",
  ]);
  expect(await text("etc/ssh/ssh_host_ed25519_key")).toBe("PRIVATE\nKEY\n");
  expect(await mode("etc/ssh/ssh_host_ed25519_key")).toBe(0o600);
  expect(await text("etc/ssh/ssh_host_ed25519_key.pub")).toBe(`${identity.hostKey.public}\n`);
  expect(await mode("etc/ssh/ssh_host_ed25519_key.pub")).toBe(0o644);
  expect(await text(`${home}/.ssh/authorized_keys`)).toBe("ssh-ed25519 BBBB mine\n");
  expect(await mode(`${home}/.ssh/authorized_keys`)).toBe(0o600);

  expect(await readlink(join(root, "var/lib/cloud/instance"))).toBe(
    "/var/lib/cloud/instances/fork-1-abc",
  );
  // Nothing is left that still has the saved guest's host name; what was done stays marked.
  expect(await readdir(join(root, "var/lib/cloud/instances/fork-1-abc"))).toEqual(["sem"]);
  expect(await readdir(join(root, "var/lib/cloud/instances"))).toEqual(["fork-1-abc"]);
  for (const file of ["data/instance-id", "data/previous-instance-id"]) {
    expect(await text(`var/lib/cloud/${file}`)).toBe("fork-1-abc\n");
  }
  expect(await text("run/cloud-init/.instance-id")).toBe("fork-1-abc\n");

  const said = (await text("dev/ttyS0")).split("\n").map(parseAnnouncement);
  const key = { kind: "hostKey", key: parseHostKey(identity.hostKey.public) };
  const ready = { kind: "ready", datasource: "NoCloud", errors: [] };
  expect(said.filter(Boolean)).toEqual([key, ready, key, ready]);
  expect(port.complaints).toBe("");
});

test("twice is as well as once; an sshd that does not run is left to systemd", async () => {
  expect(await renew()).toEqual([]);
  expect(await text("called")).toBe("systemctl try-restart --no-block ssh\n");
  const hosts = await text("etc/hosts");
  const session = await port.session();
  expect(await session.renewIdentity(identity)).toEqual([]);
  expect(await text("etc/hosts")).toBe(hosts);
});

test("each step that fails is a sentence, and the others are done", async () => {
  await put("bin/systemctl", "#!/bin/sh\nexit 1\n");
  await rm(join(root, "etc/ssh"), { recursive: true });
  await rm(join(root, "var/lib/cloud/data/instance-id"));
  const problems = await renew({ machineId: "short", mount: "fstab" });
  expect(problems).toEqual([
    expect.stringMatching(/^can't replace the SSH host key: .*No such file/),
    expect.stringMatching(/^can't make sshd take its key: systemctl try-restart .*status 256/),
    "can't write the machine id: 'short' is not 32 hexadecimal digits",
    "can't rename cloud-init's instance: cloud-init has not named an instance yet",
    "can't mount the share: /etc/fstab has no line for /mnt/vexfs-src",
  ]);
  expect(await text("etc/machine-id")).toBe(`${oldId}\n`);
  expect(await text("etc/hostname")).toBe("fork-1\n");
  expect(await text(`${home}/.ssh/authorized_keys`)).toBe("ssh-ed25519 BBBB mine\n");
});

test("the agent outlives messages that make no sense", async () => {
  port.startAgent(root);
  const session = await port.session();
  const wild = session as unknown as { channel: { send(message: unknown): void } };
  const messages = [
    { run: "x", argv: ["true"], user: "root" },
    { run: 900, argv: [], user: "root" },
    { run: 901 },
    { in: 902, data: "" },
    { kill: [] },
    { run: null },
    { hello2: 1 },
    [],
  ];
  for (const message of messages) wild.channel.send(message);
  expect(await session.run(["echo", "fine"], { deadlineMs: 5000 })).toMatchObject({
    stdout: "fine\n",
  });
});
