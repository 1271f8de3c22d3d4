/**
 * Lays out a source tree of somebody else's kernel module: what Debian's `-dkms` package has, and
 * a manifest of ours beside it. The package comes from the archive that apt is set up for.
 */
import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { ExitCode, LabError } from "../../../lab/config/errors.ts";

export interface DebianSource {
  /** The package as apt knows it, such as `v4l2loopback-dkms`. */
  readonly packageName: string;
  /** Folder whose content is laid over the package's sources: `vexlab.yaml` and suites. */
  readonly overlay: string;
  /** Where the source tree is made; it may exist. */
  readonly target: string;
}

const downloadDeadline = 120_000;

/**
 * Downloads the package as the user who calls, unpacks it without installing anything and lays out
 * the tree. Returns the package's version.
 *
 * Throws a LabError (infrastructure failed) when apt has no such package or it holds no sources.
 */
export async function layOutDebianSource(source: DebianSource): Promise<string> {
  const work = await mkdtemp(join(tmpdir(), "vexlab-debian-source-"));
  try {
    const file = await download(source.packageName, work);
    const unpacked = join(work, "unpacked");
    await execa("dpkg-deb", ["-x", file, unpacked]);
    // Debian's dkms packages hold one tree each: /usr/src/NAME-VERSION.
    const trees = await readdir(join(unpacked, "usr", "src")).catch(() => []);
    const [tree] = trees;
    if (tree === undefined || trees.length > 1) {
      throw new LabError(
        `${source.packageName}: expected one source tree in usr/src, found ${trees.length}`,
        ExitCode.infrastructureFailed,
      );
    }
    await cp(join(unpacked, "usr", "src", tree), source.target, { recursive: true });
    await cp(source.overlay, source.target, { recursive: true });
    const { stdout } = await execa("dpkg-deb", ["-f", file, "Version"]);
    return stdout.trim();
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function download(packageName: string, folder: string): Promise<string> {
  // As root, apt would change to a user who can't write into the folder.
  const { exitCode, stderr, timedOut } = await execa(
    "apt-get",
    ["-o", "APT::Sandbox::User=root", "download", packageName],
    { cwd: folder, reject: false, timeout: downloadDeadline },
  );
  if (timedOut || exitCode !== 0) {
    const reason = timedOut ? `no answer within ${downloadDeadline / 1000} s` : stderr.trim();
    throw new LabError(
      `${packageName} can't be downloaded: ${reason}`,
      ExitCode.infrastructureFailed,
      "Run `apt-get update` as root, or look at apt's list of archives.",
    );
  }
  const file = (await readdir(folder)).find((name) => name.endsWith(".deb"));
  if (file === undefined) {
    throw new LabError(
      `apt-get download ${packageName} said nothing was wrong but left no file`,
      ExitCode.infrastructureFailed,
    );
  }
  return join(folder, file);
}
