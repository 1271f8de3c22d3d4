/** A folder that has what a built kernel tree has, as far as it is looked at. */
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export const goodConfig = [
  ...["X86_64", "MODULES", "BLK_DEV_INITRD", "DEVTMPFS", "SERIAL_8250_CONSOLE", "TMPFS", "CGROUPS"],
  ...[
    "INOTIFY_USER",
    "SIGNALFD",
    "TIMERFD",
    "EPOLL",
    "UNIX",
    "FHANDLE",
    "VIRTIO_PCI",
    "VIRTIO_BLK",
  ],
  ...[
    "VIRTIO_NET",
    "VIRTIO_CONSOLE",
    "EXT4_FS",
    "ISO9660_FS",
    "NET_9P_VIRTIO",
    "9P_FS",
    "OVERLAY_FS",
  ],
]
  .map((name) => `CONFIG_${name}=y\n`)
  .join("");

export async function fakeTree(
  overrides: Readonly<Record<string, string | undefined>> = {},
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "kernel-tree-"));
  const files: Record<string, string | undefined> = {
    ".config": goodConfig,
    "arch/x86/boot/bzImage": "kernel",
    "include/config/kernel.release": "6.1.1-mine\n",
    "Module.symvers": "0x1\tprintk\tvmlinux\tEXPORT_SYMBOL\n",
    "modules.order": "fs/ext4/ext4.o\n",
    "fs/ext4/ext4.ko": "module",
    Kbuild: "",
    ...overrides,
  };
  for (const [name, text] of Object.entries(files)) {
    if (text === undefined) continue;
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return folder;
}
