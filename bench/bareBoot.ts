/** Boots by QEMU alone, without libvirt, Pulumi and vexlab: what vexlab's own are compared with. */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { execa } from "execa";
import { ensureImage, type BuiltImage } from "../lab/image/image.ts";
import { terminalProgress } from "../lab/report/progress.ts";
import type { Finding } from "./finding.ts";
import { rounds, say, type Lab } from "./lab.ts";

const port = 2988;
const stockRounds = rounds(2);
const user = "vexfs";
const bannerMs = 1000;
const loginMs = 120_000;

interface BareBoot {
  readonly image: Pick<BuiltImage, "kernel" | "initrd" | "rootDisk">;
  readonly cloudInit: Buffer;
  readonly key: string;
  /** Words of the kernel's command line beside those that every guest here needs. */
  readonly kernelParameters?: readonly string[];
  /** A line of the console to wait for before logging in. */
  readonly announcement?: string;
}

/** Seconds from the start of QEMU to the output of a command over SSH. */
export async function bareBoot(lab: Lab, boot: BareBoot): Promise<number> {
  const { image, announcement, kernelParameters: words = [] } = boot;
  const folder = lab.checkout.path("bare");
  await mkdir(folder);
  const file = (name: string): string => join(folder, name);
  await writeFile(file("cloud-init.img"), boot.cloudInit);
  await writeFile(file("key"), boot.key, { mode: 0o600 });
  const overlay = ["create", "-q", "-f", "qcow2", "-b", image.rootDisk, "-F", "qcow2"];
  await execa("qemu-img", [...overlay, file("root.qcow2"), "8G"]);
  await execa("qemu-img", ["create", "-q", "-f", "qcow2", file("test.qcow2"), "512M"]);
  const share = `path=${lab.checkout.path("examples/vexfs")},security_model=none,readonly=on`;
  const cpu = lab.accelerator === "kvm" ? ["-cpu", "host"] : [];
  const started = performance.now();
  const qemu = execa("qemu-system-x86_64", [
    ...["-machine", `pc,accel=${lab.accelerator}`, ...cpu],
    ...["-smp", "2", "-m", "2G", "-display", "none", "-nodefaults"],
    ...["-kernel", image.kernel, "-initrd", image.initrd],
    ...["-append", ["root=/dev/vda rw console=ttyS0 no_timer_check", ...words].join(" ")],
    ...["-drive", `file=${file("root.qcow2")},if=virtio,format=qcow2`],
    ...["-drive", `file=${file("test.qcow2")},if=virtio,format=qcow2`],
    ...["-drive", `file=${file("cloud-init.img")},if=virtio,format=raw,readonly=on`],
    ...["-fsdev", `local,id=share,${share}`],
    ...["-device", "virtio-9p-pci,fsdev=share,mount_tag=vexfs-src"],
    ...["-netdev", `user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:${port}-:22`],
    ...["-device", "virtio-net-pci,netdev=n", "-device", "virtio-rng-pci"],
    ...["-serial", `file:${file("console.log")}`],
  ]);
  // An error of QEMU's own ends the wait, and is not lost.
  const gone = qemu.then(
    () => Promise.reject(new Error("QEMU ended before the guest was ready")),
    (error: unknown) => Promise.reject(error instanceof Error ? error : new Error(String(error))),
  );
  const ready = async (): Promise<number> => {
    if (announcement !== undefined)
      await lab.until(async () => {
        const text = await readFile(file("console.log"), "utf8");
        if (!text.includes(announcement)) throw new Error("not yet");
      }, "the guest's announcement");
    else await lab.until(banner, "the guest's SSH banner", 200);
    await lab.until(() => login(file("key")), "a login", 200);
    return (performance.now() - started) / 1000;
  };
  try {
    return await Promise.race([ready(), gone]);
  } finally {
    qemu.kill("SIGKILL");
    await gone.catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  }
}

/** QEMU accepts connections before the guest does, so only what the guest says counts. */
function banner(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" });
    const end = (error?: Error): void => {
      socket.destroy();
      if (error) reject(error);
      else resolve();
    };
    socket.setTimeout(bannerMs, () => end(new Error("no banner")));
    socket.once("error", end);
    socket.once("close", () => end(new Error("closed")));
    socket.once("data", (data) =>
      end(data.toString("latin1").startsWith("SSH-") ? undefined : new Error("another banner")),
    );
  });
}

async function login(key: string): Promise<void> {
  const argv = [
    ...["-i", key, "-p", String(port), "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"],
    ...["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"],
    ...[`${user}@127.0.0.1`, "uname", "-r"],
  ];
  await execa("ssh", argv, { stdin: "ignore", timeout: loginMs });
}

const taken = new WeakMap<Lab, Promise<number[]>>();

/** Seconds of the baseline's boots: several rows compare with them, so they are taken once. */
export function stockSeconds(lab: Lab): Promise<number[]> {
  const seconds = taken.get(lab) ?? stockBoots(lab);
  taken.set(lab, seconds);
  return seconds;
}

/** The untrimmed image with the distribution's initrd and the least of cloud-init. */
async function stockBoots(lab: Lab): Promise<number[]> {
  const image = await ensureImage("debian-12-stock", terminalProgress());
  // A guest of the stack's would take processor time from it.
  await lab.down();
  const folder = lab.checkout.path("stock");
  await mkdir(folder, { recursive: true });
  const file = (name: string): string => join(folder, name);
  await rm(file("key"), { force: true });
  await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file("key")]);
  const authorized = (await readFile(file("key.pub"), "utf8")).trim();
  const userData = `#cloud-config
users:
  - name: ${user}
    shell: /bin/bash
    sudo: "ALL=(ALL) NOPASSWD:ALL"
    ssh_authorized_keys: ["${authorized}"]
`;
  await writeFile(file("user-data"), userData);
  await writeFile(file("meta-data"), "instance-id: stock\nlocal-hostname: stock\n");
  const documents = [file("user-data"), file("meta-data")];
  const disk = ["-quiet", "-output", file("cloud-init.img"), "-volid", "cidata"];
  await execa("genisoimage", [...disk, "-joliet", "-rock", ...documents]);
  const boot = {
    image,
    cloudInit: await readFile(file("cloud-init.img")),
    key: await readFile(file("key"), "utf8"),
  };
  const seconds: number[] = [];
  for (let round = 1; round <= stockRounds; round++) {
    say(`stock image by QEMU alone, boot ${round} of ${stockRounds}`);
    seconds.push(await bareBoot(lab, boot));
  }
  return seconds;
}

export async function stock(lab: Lab): Promise<Finding[]> {
  const ours = await stockSeconds(lab);
  return [{ what: "baseline: stock image by QEMU alone → SSH", unit: "s", ours }];
}
