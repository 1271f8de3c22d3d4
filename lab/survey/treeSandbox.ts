/**
 * Where programs of a tree that we know nothing of are run to be read: bubblewrap with the tree
 * read-only, without network, without anything of the user's, and with a deadline.
 *
 * A dkms.conf is a program for bash and a Makefile one for make; what they say is known by running
 * them. Each kernel has a place of its own: the root file system of a cached image, whose headers they
 * may look at, or the host's /usr when no image is there yet.
 */
import { execa } from "execa";
import { kernelsOf } from "../config/recipes.ts";
import { asImage, imageIds, readManifest } from "../image/cache.ts";

/** A kernel, and the root file system in which a tree is read for it. */
export interface ReadingPlace {
  readonly kernelRelease: string;
  /** An image's root file system; the host's programs when undefined. */
  readonly sysroot?: string;
}

/** Where the tree is in the sandbox. */
export const treeMount = "/mnt/tree";

const deadlineMs = 30_000;
const mostOutput = 1024 * 1024;

/**
 * A place for each kernel of the images in the cache; without images the host for the series that the
 * standard image can have.
 */
export async function readingPlaces(cache?: string): Promise<ReadingPlace[]> {
  const places = new Map<string, ReadingPlace>();
  for (const id of await imageIds(cache)) {
    const manifest = await readManifest(id, cache).catch(() => undefined);
    if (manifest === undefined) continue;
    const { kernelRelease, sysroot } = asImage(manifest, cache);
    // A downloaded image has its kernel and root file system inside its disk only.
    if (kernelRelease === undefined || sysroot === undefined) continue;
    places.set(kernelRelease, { kernelRelease, sysroot });
  }
  if (places.size > 0)
    return [...places.values()].sort((a, b) =>
      a.kernelRelease.localeCompare(b.kernelRelease, "en", { numeric: true }),
    );
  return kernelsOf("debian-12").map((series) => ({ kernelRelease: `${series}.0-0-amd64` }));
}

export interface ReadingEnd {
  /** What it printed on its standard output; undefined when it failed or took too long. */
  readonly output?: string;
  /** Why there is no output. */
  readonly problem?: string;
}

/** Runs a program in the tree, in its own folder there. */
export async function runOnTree(
  tree: string,
  place: ReadingPlace,
  folder: string,
  argv: readonly string[],
  input = "",
): Promise<ReadingEnd> {
  const end = await execa("bwrap", treeSandboxArguments(tree, place, folder, argv), {
    input,
    reject: false,
    timeout: deadlineMs,
    killSignal: "SIGKILL",
    maxBuffer: mostOutput,
    stripFinalNewline: false,
  });
  if (end.exitCode === 0) return { output: end.stdout };
  if (end.timedOut)
    return { problem: `${argv[0] ?? ""} did not end within ${deadlineMs / 1000} s` };
  const said = end.stderr.trim().split("\n").at(-1) ?? "";
  return { problem: said || end.shortMessage || `exit status ${end.exitCode ?? "unknown"}` };
}

/** bubblewrap's arguments (bwrap(1)). */
export function treeSandboxArguments(
  tree: string,
  { sysroot }: ReadingPlace,
  folder: string,
  argv: readonly string[],
): string[] {
  const ofHost = ["bin", "sbin", "lib", "lib32", "lib64"].flatMap((name) => [
    ...["--ro-bind-try", `/${name}`, `/${name}`],
  ]);
  return [
    ...(sysroot === undefined
      ? ["--ro-bind", "/usr", "/usr", ...ofHost]
      : ["--ro-bind", sysroot, "/"]),
    ...["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--tmpfs", "/mnt"],
    ...["--ro-bind", tree, treeMount],
    ...[
      "--unshare-all",
      "--hostname",
      "vexlab",
      "--new-session",
      "--die-with-parent",
      "--clearenv",
    ],
    ...["--setenv", "PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"],
    ...["--setenv", "LANG", "C.UTF-8", "--setenv", "HOME", "/tmp"],
    ...["--setenv", "CARGO_HOME", "/tmp/cargo", "--chdir", `${treeMount}/${folder}`],
    ...["--", ...argv],
  ];
}
