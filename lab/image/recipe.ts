/**
 * What each image holds, and the hash that stands for it.
 *
 * The names and kernels are in lab/config/recipes.ts; the steps that are the same for every package
 * list are shell scripts beside this file, run inside the root file system's namespace.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import fastGlob from "fast-glob";
import { recipeEntries, type RecipeName } from "../config/recipes.ts";

export interface Recipe {
  readonly name: RecipeName;
  /** The distribution's release, as the archive calls it. */
  readonly release: string;
  /** As apt takes them: a name, or NAME/RELEASE for one of another release. */
  readonly packages: readonly string[];
  /** Folders of mmdebstrap hooks, in hooks/ beside this file. */
  readonly hooks: readonly ("trimmed" | "stock" | "backports")[];
  /** Whose initrd: ours (initrd/init.c) or the one that the kernel's package makes. */
  readonly initrd: "own" | "distribution";
  /** An upper bound of what a build needs on disk while it runs, in bytes. */
  readonly diskNeeded: number;
}

const gibibyte = 2 ** 30;

/** Boots, takes a user and a key from cloud-init, answers SSH. */
const system = [
  "ca-certificates",
  "cloud-init",
  "cpio",
  "dbus",
  "e2fsprogs",
  "iproute2",
  "kmod",
  "locales",
  "openssh-server",
  "procps",
  "psmisc",
  "sudo",
  "systemd-sysv",
  "udev",
];

/** Builds kernel modules and Rust programs, in the guest and in the sysroot. */
const compilers = [
  "bc",
  "bison",
  "build-essential",
  "cargo",
  "file",
  "flex",
  "libelf-dev",
  "pahole",
  "pkg-config",
  "rust-clippy",
  "rustc",
  "rustfmt",
  "sparse",
  "xz-utils",
  "zstd",
];

/** Looks into a running kernel and puts load on it. */
const instruments = [
  "dmsetup",
  "fio",
  "gdb",
  "htop",
  "less",
  "linux-perf",
  "rsync",
  "strace",
  "stress-ng",
  "sysstat",
  "v4l-utils",
  "valgrind",
  "vim-tiny",
];

// The full kernel, not the "cloud" flavour, which has no 9p.
const kernel = ["linux-image-amd64", "linux-headers-amd64"];

const bookworm = {
  release: "bookworm",
  hooks: ["trimmed"],
  initrd: "own",
  diskNeeded: 7 * gibibyte,
} as const;

const recipes: Record<RecipeName, Omit<Recipe, "name">> = {
  "debian-12": { ...bookworm, packages: [...system, ...compilers, ...instruments, ...kernel] },
  "debian-12-backports": {
    ...bookworm,
    hooks: ["trimmed", "backports"],
    packages: [
      ...system,
      ...compilers,
      ...instruments,
      ...kernel.map((name) => `${name}/bookworm-backports`),
    ],
  },
  "debian-12-stock": {
    release: "bookworm",
    hooks: ["stock"],
    initrd: "distribution",
    diskNeeded: 4 * gibibyte,
    packages: [
      ...["cloud-init", "dbus", "e2fsprogs", "iproute2", "kmod", "linux-image-amd64", "locales"],
      ...["apparmor", "man-db", "netplan.io", "openssh-server", "sudo", "systemd-resolved"],
      ...["systemd-sysv", "udev", "unattended-upgrades"],
    ],
  },
};

export function recipe(name: RecipeName): Recipe {
  return { name, ...recipes[name] };
}

/** The file system label by which the kernel command line and fstab find the root disk. */
export const rootLabel = "vexlab-root";

/** The folder of the scripts and files that go into images. */
export const imageSources = dirname(fileURLToPath(import.meta.url));

/**
 * Hash of everything that decides what a build makes, apart from the versions of the packages that
 * the archive has on the day: the recipe's data and every script and file that the build uses.
 * 16 hex digits.
 */
export async function hashRecipe(one: Recipe, sources: string = imageSources): Promise<string> {
  const names = await fastGlob(
    ["*.sh", ...one.hooks.map((folder) => `hooks/${folder}/**`), "initrd/**", "rootfs/**"],
    {
      cwd: sources,
      dot: true,
    },
  );
  const hash = createHash("sha256");
  hash.update(JSON.stringify({ ...one, diskNeeded: undefined, entry: recipeEntries[one.name] }));
  for (const name of names.map((each) => relative(".", each).split(sep).join("/")).sort()) {
    const content = await readFile(join(sources, name));
    hash.update(`\0${name}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex").slice(0, 16);
}

/**
 * The key of an image: its recipe and the packages that the archive gave for it.
 *
 * @param packages version by name
 */
export function imageId(
  name: RecipeName,
  recipeHash: string,
  packages: Readonly<Record<string, string>>,
): string {
  const hash = createHash("sha256").update(recipeHash);
  for (const key of Object.keys(packages).sort()) hash.update(`\0${key}=${packages[key] ?? ""}`);
  return `${name}-${hash.digest("hex").slice(0, 12)}`;
}
