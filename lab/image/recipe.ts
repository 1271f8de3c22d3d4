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
import { debianReleases, type DebianImage } from "../config/debianReleases.ts";
import {
  kernelOfRecipe,
  recipeEntries,
  recipeSlug,
  type FixedRecipe,
  type RecipeName,
} from "../config/recipes.ts";

export interface Recipe {
  readonly name: RecipeName;
  /** The distribution's release, as the archive calls it. */
  readonly release: string;
  /** Suites of the archive beside the release's own, its updates and its security updates. */
  readonly suites?: readonly string[];
  /** As apt takes them: a name, NAME/SUITE for one of another suite, NAME=VERSION. */
  readonly packages: readonly string[];
  /** Folders of mmdebstrap hooks, in hooks/ beside this file. */
  readonly hooks: readonly ("bullseye" | "trimmed" | "stock" | "suites")[];
  /** Which kernel, where that is looked up in the archive; else it is among the packages. */
  readonly kernel?: string;
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

const everything = [...system, ...compilers, ...instruments];

/** What is common to the images of one release. */
function release(codename: string): Omit<Recipe, "name" | "packages"> {
  return { release: codename, hooks: ["trimmed"], initrd: "own", diskNeeded: 7 * gibibyte };
}

// Kernel packages may ask for any program that makes an initrd. It is never used, but must be there,
// and without a choice apt takes the first that is named, which differs from kernel to kernel.
// fincore(1), lsfd(1) and the like are in a package of their own from trixie on.
const fromTrixieOn = ["initramfs-tools", "util-linux-extra"];

/**
 * What is called otherwise in bullseye. Its own Rust is of 2020; the newer one, with which browsers were
 * built, is taken from the release's last update, which stays as it is: of what the security archive has
 * of it, files are gone.
 */
const bullseyeRust = "1.78.0+dfsg1-2~deb11u3";
const bullseyeNames: Readonly<Record<string, readonly string[]>> = {
  cargo: [`cargo-web=${bullseyeRust}`],
  pahole: ["dwarves"],
  "rust-clippy": [`rust-web-clippy=${bullseyeRust}`],
  rustc: [`rustc-web=${bullseyeRust}`, `libstd-rust-web-dev=${bullseyeRust}`],
  rustfmt: [`rustfmt-web=${bullseyeRust}`],
};

/** What an image holds beside its kernel. */
const images: Readonly<Record<DebianImage, Omit<Recipe, "name">>> = {
  "debian-11": {
    ...release("bullseye"),
    hooks: ["bullseye", "trimmed"],
    packages: everything.flatMap((name) => bullseyeNames[name] ?? name),
  },
  "debian-12": { ...release("bookworm"), packages: everything },
  "debian-13": { ...release("trixie"), packages: [...everything, ...fromTrixieOn] },
  "debian-sid": { ...release("sid"), packages: [...everything, ...fromTrixieOn] },
};

const withKernel = (image: DebianImage, ...names: string[]): Omit<Recipe, "name"> => ({
  ...images[image],
  packages: [...images[image].packages, ...names],
});

/** With the kernel of a suite that is not among the release's own. */
const withSuite = (image: DebianImage, suite: string): Omit<Recipe, "name"> => ({
  ...withKernel(image, ...kernel.map((name) => `${name}/${suite}`)),
  ...addedSuite(image, suite),
});

/** What makes apt know a suite, if it does not already. */
export function addedSuite(
  image: DebianImage,
  suite: string,
): Partial<Pick<Recipe, "hooks" | "suites">> {
  const { codename } = debianReleases[image];
  const own = [codename, `${codename}-updates`, `${codename}-security`];
  return own.includes(suite) ? {} : { hooks: [...images[image].hooks, "suites"], suites: [suite] };
}

const recipes: Readonly<Record<FixedRecipe, Omit<Recipe, "name">>> = {
  "debian-11": withKernel("debian-11", ...kernel),
  "debian-12": withKernel("debian-12", ...kernel),
  "debian-12-backports": withSuite("debian-12", "bookworm-backports"),
  "debian-13": withKernel("debian-13", ...kernel),
  "debian-13-backports": withSuite("debian-13", "trixie-backports"),
  "debian-sid": withKernel("debian-sid", ...kernel),
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
  if (name in recipes) return { name, ...recipes[name as FixedRecipe] };
  const wanted = kernelOfRecipe(name);
  if (wanted === undefined) throw new Error(`no recipe ${name}`);
  return { name, ...images[wanted.image], kernel: wanted.text };
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
  // Most commands end without it.
  const { default: fastGlob } = await import("fast-glob");
  const names = await fastGlob(
    ["*.sh", ...one.hooks.map((folder) => `hooks/${folder}/**`), "initrd/**", "rootfs/**"],
    {
      cwd: sources,
      dot: true,
    },
  );
  const hash = createHash("sha256");
  hash.update(JSON.stringify({ ...one, diskNeeded: undefined, entry: entryOf(one.name) }));
  for (const name of names.map((each) => relative(".", each).split(sep).join("/")).sort()) {
    const content = await readFile(join(sources, name));
    hash.update(`\0${name}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex").slice(0, 16);
}

function entryOf(name: RecipeName): unknown {
  return (recipeEntries as Readonly<Record<string, unknown>>)[name];
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
  return `${recipeSlug(name)}-${hash.digest("hex").slice(0, 12)}`;
}
