/**
 * A kernel tree that the user has built (`vexlab:kernelTree`): whether it is one, whether it is built,
 * and whether a guest can boot what it makes.
 */
import { readFile, readlink, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Fault } from "./errors.ts";

/** Where in a build tree things are (Documentation/kbuild, arch/x86/boot). */
export const treeFiles = {
  config: ".config",
  kernel: "arch/x86/boot/bzImage",
  release: "include/config/kernel.release",
  symbols: "Module.symvers",
  modules: "modules.order",
} as const;

const howToBuild = "a built tree: make olddefconfig && make -j$(nproc) bzImage modules";

/** What is set in a kernel's configuration: `y`, `m`, a number or a text by the name after CONFIG_. */
export function parseKernelConfig(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split("\n")) {
    const match = /^CONFIG_(\w+)=(.*)$/.exec(line);
    if (match?.[1] !== undefined) found.set(match[1], (match[2] ?? "").replace(/^"(.*)"$/, "$1"));
  }
  return found;
}

/** What a guest needs, and what for. `y`: built in, because nothing can load a module so early. */
const needed: readonly (readonly [symbol: string, value: "y" | "m", why: string])[] = [
  ["MODULES", "y", "the module under test"],
  ["BLK_DEV_INITRD", "y", "vexlab's initrd"],
  ["DEVTMPFS", "y", "devices in the initrd"],
  ["SERIAL_8250_CONSOLE", "y", "the console"],
  ["VIRTIO_PCI", "m", "every device"],
  ["VIRTIO_BLK", "m", "the disks"],
  ["VIRTIO_NET", "m", "SSH"],
  ["VIRTIO_CONSOLE", "m", "the control channel"],
  ["EXT4_FS", "m", "the root disk"],
  ["ISO9660_FS", "m", "the cloud-init disk"],
  ["NET_9P_VIRTIO", "m", "the share of the sources"],
  ["9P_FS", "m", "the share of the sources"],
  ["OVERLAY_FS", "m", "test runs beside the stack's guest"],
  ["TMPFS", "y", "systemd"],
  ["CGROUPS", "y", "systemd"],
  ["INOTIFY_USER", "y", "systemd"],
  ["SIGNALFD", "y", "systemd"],
  ["TIMERFD", "y", "systemd"],
  ["EPOLL", "y", "systemd"],
  ["UNIX", "y", "systemd"],
  ["FHANDLE", "y", "systemd"],
];

/** What a guest needs that a configuration lacks, a line each. */
export function missingOptions(config: ReadonlyMap<string, string>): string[] {
  return needed.flatMap(([symbol, value, why]) => {
    const set = config.get(symbol);
    if (set === "y" || (value === "m" && set === "m")) return [];
    return [`CONFIG_${symbol}=${value === "y" ? "y" : "y (or m)"} for ${why}`];
  });
}

/**
 * The folder of a tree's sources: the tree itself, or for one that was built with `make O=…` where its
 * link `source` leads.
 */
export async function treeSource(folder: string): Promise<string> {
  const target = await readlink(join(folder, "source")).catch(() => undefined);
  return target === undefined ? folder : resolve(folder, target);
}

/** All that is wrong with a tree; empty when guests can boot it. */
export async function kernelTreeFaults(
  key: string,
  value: string,
  folder: string,
): Promise<readonly Fault[]> {
  const faults: Fault[] = [];
  const fault = (problem: string, allowed = howToBuild): void => {
    faults.push({ key, value, problem, allowed });
  };
  const status = await stat(folder).catch(() => undefined);
  if (status?.isDirectory() !== true) {
    fault(status === undefined ? `${folder} does not exist` : `${folder} is not a folder`);
    return faults;
  }
  const text = (file: string): Promise<string | undefined> =>
    readFile(join(folder, file), "utf8").catch(() => undefined);
  const config = await text(treeFiles.config);
  if (config === undefined) {
    const source = await treeSource(folder);
    const isSource = (await stat(join(source, "Kbuild")).catch(() => undefined)) !== undefined;
    fault(
      isSource ? "is not configured: it has no .config" : "is no kernel tree: no .config in it",
    );
    return faults;
  }
  const options = parseKernelConfig(config);
  if (options.get("X86_64") !== "y") fault("is not configured for x86_64", "an x86_64 tree");
  if (options.get("MODULE_SIG_FORCE") === "y")
    fault("loads signed modules only (CONFIG_MODULE_SIG_FORCE)", "a kernel that loads any module");
  for (const missing of missingOptions(options))
    fault(`lacks ${missing}`, "make kvm_guest.config, then the options that are named here");
  for (const file of [treeFiles.kernel, treeFiles.release, treeFiles.symbols, treeFiles.modules])
    if ((await stat(join(folder, file)).catch(() => undefined))?.isFile() !== true)
      fault(`is not built: it has no ${file}`);
  return faults;
}
