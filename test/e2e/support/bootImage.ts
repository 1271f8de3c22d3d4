/**
 * A disk image that boots by itself, by BIOS and by UEFI, as a distribution's cloud image does: for
 * networks where no image host can be reached.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { archiveOptions, packageArchive } from "../../../lab/image/archive.ts";
import { sourceLines } from "../../../lab/image/aptSources.ts";
import { checkBuildHost, removeFolders, runAsRoot } from "../../../lab/image/namespace.ts";

const scripts = join(dirname(fileURLToPath(import.meta.url)), "bootImage");
const release = "bookworm";

const packages = [
  ...["ca-certificates", "cloud-init", "dbus", "e2fsprogs", "initramfs-tools", "iproute2", "kmod"],
  ...["linux-image-amd64", "netplan.io", "openssh-server", "sudo", "systemd-resolved"],
  ...["systemd-sysv", "udev"],
  ...["dosfstools", "fdisk", "grub-efi-amd64-bin", "grub-pc-bin", "grub2-common", "mtools"],
];

/** What builds modules; else the guest installs it. */
export const builderPackages = ["build-essential", "linux-headers-amd64"];

/**
 * Makes the image, as a raw disk.
 * @param folder where its files are; what is in between needs 3 GiB
 * @param more packages beside a stock system's
 */
export async function makeBootImage(
  folder: string,
  more: readonly string[] = [],
  onLine?: (line: string) => void,
): Promise<string> {
  await checkBuildHost();
  const work = await mkdtemp(join(folder, "work-"));
  const root = join(work, "root");
  const disk = join(folder, "cloud.raw");
  const archive = await packageArchive();
  const options = onLine === undefined ? {} : { onLine };
  try {
    await runAsRoot(
      [
        ...["mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory"],
        ...["--skip=output/dev", `--hook-directory=${scripts}`],
        `--include=${[...packages, ...more].join(",")}`,
        '--aptopt=APT::Sandbox::User "root";',
        ...(await archiveOptions()).map((option) => `--aptopt=${option}`),
        ...[release, root],
        ...(archive === undefined ? [] : sourceLines(archive, release)),
      ],
      { ...options, environment: { DEBIAN_FRONTEND: "noninteractive", INITRD: "No" } },
    );
    await runAsRoot([join(scripts, "disk.sh"), root, disk], options);
    return disk;
  } finally {
    await removeFolders([work]);
    await rm(work, { recursive: true, force: true });
  }
}
