/**
 * The NoCloud documents of a guest: user-data, meta-data and network-config. Pure: the same
 * arguments give the same text, and nothing in it is secret.
 *
 * They work on stock cloud images: nothing has to be baked into the image.
 * Formats: cloud-init's documentation, "NoCloud", "Module reference" and "Networking config v2".
 */
import { createHash } from "node:crypto";
import { gzipSync, strToU8 } from "fflate";
import { stringify } from "yaml";
import type { GuestFile } from "./guestFiles.ts";
import { announceScript } from "./announcement.ts";
import { mergeUserData } from "./userData.ts";

export const share = {
  /** 9p mount tag. */
  tag: "vexfs-src",
  mountPoint: "/mnt/vexfs-src",
} as const;

/** Where vexlab keeps its own things in a guest; belongs to the session's user. */
export const guestStateFolder = "/var/lib/vexlab";

const agentUnit = "/etc/systemd/system/vexlab-agent.service";
const wants = "/etc/systemd/system/multi-user.target.wants";

export type ShareMode = "readonly" | "readwrite";

export interface CloudInitSettings {
  /** The name to log in with; may use sudo without a password and has none itself. */
  readonly user: string;
  /** One line of authorized_keys. */
  readonly publicKey: string;
  readonly hostname: string;
  readonly shareMode: ShareMode;
  /** See readGuestFiles. */
  readonly files: readonly GuestFile[];
  /** What installs the kernel's headers at a boot; undefined: the image has them. */
  readonly kernelScript?: GuestFile;
  /** The user's own cloud-config (`vexlab:userData`), merged over ours. */
  readonly userData?: string;
}

export interface CloudInitDocuments {
  readonly userData: string;
  readonly metaData: string;
  readonly networkConfig: string;
}

/**
 * The documents for one guest.
 * @throws ConfigurationError for a user's cloud-config that isn't one or takes away what vexlab needs.
 */
export function cloudInitDocuments(guest: CloudInitSettings): CloudInitDocuments {
  const ours = cloudConfig(guest);
  const config =
    guest.userData === undefined ? ours : mergeUserData(ours, guest.userData, guest.user);
  const userData = `#cloud-config\n${toYaml(config)}`;
  // cloud-init applies a document once for each instance: another document is another instance.
  const identity = createHash("sha256").update(`${guest.hostname}\n${userData}`).digest("hex");
  return {
    userData,
    metaData: toYaml({
      "instance-id": `${guest.hostname}-${identity.slice(0, 12)}`,
      "local-hostname": guest.hostname,
    }),
    networkConfig: toYaml({
      version: 2,
      ethernets: {
        // Whatever the kernel calls the only network card: enp0s30, ens3, eth0. Nothing here uses
        // IPv6, and without it the guest doesn't wait for duplicate address detection.
        guest: { match: { name: "e*" }, dhcp4: true, "link-local": [] },
      },
    }),
  };
}

/** Options of the share's mount; see v9fs in the kernel's Documentation/filesystems/9p.rst. */
export function shareOptions(mode: ShareMode): string {
  return [
    "trans=virtio",
    "version=9p2000.L",
    // The largest message: the default of 8 KiB makes each read of a source file a round trip more.
    "msize=262144",
    // No cache, so that an edit on the host is seen at once. A linker that writes its output
    // through a shared mapping needs cache=mmap, which caches mapped pages only.
    mode === "readonly" ? "ro,cache=none" : "rw,cache=mmap",
    "nofail",
  ].join(",");
}

function cloudConfig(guest: CloudInitSettings): Record<string, unknown> {
  return {
    hostname: guest.hostname,
    // 127.0.1.1 in /etc/hosts: else each sudo would ask a name server that an isolated guest can't reach.
    manage_etc_hosts: "localhost",
    users: [
      {
        name: guest.user,
        gecos: "vexlab",
        shell: "/bin/bash",
        lock_passwd: true,
        sudo: "ALL=(ALL) NOPASSWD:ALL",
        ssh_authorized_keys: [guest.publicKey],
      },
    ],
    // The image's own locale stays: making another takes long, and an image may lack the tools.
    locale: false,
    ssh_pwauth: false,
    // One kind of host key: the others take seconds to make in an emulated guest.
    ssh_deletekeys: true,
    ssh_genkeytypes: ["ed25519"],
    no_ssh_fingerprints: true,
    ssh: { emit_keys_to_console: false },
    growpart: { mode: "auto", devices: ["/"] },
    resize_rootfs: true,
    package_update: false,
    package_upgrade: false,
    // bootcmd runs at each boot and early, even when a later module fails.
    bootcmd: [
      ["sh", "-c", mountScript(guest.shareMode)],
      [
        "systemd-run",
        "--no-block",
        "--quiet",
        "--collect",
        "--unit=vexlab-announce",
        // Else it would wait for sysinit.target, which waits for cloud-init.
        "--property=DefaultDependencies=no",
        "sh",
        "-c",
        // systemd replaces $NAME in a command line; $$ stands for one $ (systemd.service(5)).
        announceScript.replaceAll("$", "$$$$"),
      ],
      // The power button's input device, by which logind shuts down: nothing else would load it.
      ["sh", "-c", "modprobe --quiet evdev || true"],
    ],
    write_files: [...guest.files, ...(guest.kernelScript ? [guest.kernelScript] : [])].map(
      ({ path, permissions, content }) => ({
        path,
        permissions,
        encoding: "gz+b64",
        content: packed(content),
      }),
    ),
    runcmd: [
      ["install", "-d", "-o", guest.user, "-g", guest.user, guestStateFolder],
      // The control channel. Without the port the agent waits for it; nothing waits for the agent.
      // As `systemctl enable` would, which also has systemd read all its units again: seconds.
      ["sh", "-c", `mkdir -p ${wants} && ln -sf ${agentUnit} ${wants}/`],
      ["systemctl", "start", "--no-block", "vexlab-agent"],
    ],
  };
}

/**
 * cloud-init's parser of YAML is written in Python and reads the document several times: 50 KB of text
 * less are five seconds less of an emulated boot. By a packer of JavaScript, since that of Node makes
 * other bytes in other versions, and another document is another guest.
 */
function packed(content: string): string {
  return Buffer.from(gzipSync(strToU8(content), { level: 9, mtime: 0 })).toString("base64");
}

// A line in fstab, so that `mount /mnt/vexfs-src` works by hand and after a warm start. Not by
// cloud-init's `mounts`: that takes a tag for a missing device and passes it over.
function mountScript(mode: ShareMode): string {
  const line = `${share.tag} ${share.mountPoint} 9p ${shareOptions(mode)} 0 0`;
  return `\
mkdir -p ${share.mountPoint}
grep -q '^${share.tag} ' /etc/fstab || echo '${line}' >>/etc/fstab
mountpoint -q ${share.mountPoint} || mount ${share.mountPoint} || true
`;
}

// YAML 1.1 is what cloud-init's parser reads; long lines stay whole, and repeated parts are written out.
function toYaml(document: unknown): string {
  return stringify(document, {
    version: "1.1",
    lineWidth: 0,
    aliasDuplicateObjects: false,
    blockQuote: "literal",
  });
}
