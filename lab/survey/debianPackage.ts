/**
 * The sources of a kernel module from a `-dkms` package of the archive that apt is set up for; also of
 * another release of Debian than the host's, whose modules may be for newer kernels.
 */
import { cp, lstat, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { ConfigurationError, ExitCode, LabError } from "../config/errors.ts";
import { packageArchive } from "../image/archive.ts";

/** A package's tree in a folder of ours. */
export interface DebianSource {
  readonly version: string;
  /** The files, relative to the folder. */
  readonly files: readonly string[];
}

const aptDeadlineMs = 180_000;

/**
 * Downloads a package as the user who calls, unpacks it without installing anything, and lays its
 * source tree out in a folder, which may hold other files.
 * @param packageName NAME or NAME=VERSION as the host's apt knows it; NAME/RELEASE of any release that
 * Debian's archive has, such as trixie.
 * @throws ConfigurationError for what is no package's name, and for files that are there already;
 * LabError (infrastructure failed) when apt has no such package or it holds no sources.
 */
export async function layOutDebianSource(
  packageName: string,
  target: string,
): Promise<DebianSource> {
  if (!/^[a-z0-9][a-z0-9+.-]+([=/][\w.+:~-]+)?$/.test(packageName))
    throw new ConfigurationError("init", [
      {
        key: "--debian-package",
        value: packageName,
        problem: "is no name of a package",
        allowed: "a name such as v4l2loopback-dkms, also NAME=VERSION or NAME/RELEASE",
      },
    ]);
  const work = await mkdtemp(join(tmpdir(), "vexlab-debian-source-"));
  try {
    const file = await download(packageName, work);
    const unpacked = join(work, "unpacked");
    await execa("dpkg-deb", ["-x", file, unpacked]);
    // Debian's dkms packages hold one tree each: /usr/src/NAME-VERSION.
    const trees = await readdir(join(unpacked, "usr", "src")).catch(() => []);
    const [tree] = trees;
    if (tree === undefined || trees.length > 1)
      throw new LabError(
        `${packageName}: expected one source tree in usr/src, found ${trees.length}`,
        ExitCode.infrastructureFailed,
        "Packages with a module's sources are called …-dkms: apt-cache search -n dkms",
      );
    const source = join(unpacked, "usr", "src", tree);
    const files = await filesOf(source);
    await refuseExisting(target, files);
    await cp(source, target, { recursive: true, verbatimSymlinks: true });
    const { stdout } = await execa("dpkg-deb", ["-f", file, "Version"]);
    return { version: stdout.trim(), files };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

async function refuseExisting(target: string, files: readonly string[]): Promise<void> {
  for (const file of files) {
    const there = await lstat(join(target, file)).catch(() => undefined);
    if (there !== undefined)
      throw new ConfigurationError("init", [
        {
          key: "folder",
          value: target,
          problem: `${file} is there already`,
          allowed:
            "a folder without files of the package; vexlab init alone for a tree that is there",
        },
      ]);
  }
}

async function download(packageName: string, folder: string): Promise<string> {
  const [name = "", release] = packageName.split("/");
  const options = release === undefined ? [] : await listsOf(release, folder);
  await aptGet(["download", name], options, folder, packageName);
  const file = (await readdir(folder)).find((each) => each.endsWith(".deb"));
  if (file === undefined)
    throw new LabError(
      `apt-get download ${packageName} said nothing was wrong but left no file`,
      ExitCode.infrastructureFailed,
    );
  return join(folder, file);
}

/**
 * Gets the package lists of a release into a folder; signatures are checked as apt always does.
 * @returns the options with which apt-get uses them instead of the host's.
 */
async function listsOf(release: string, folder: string): Promise<string[]> {
  const archive = await packageArchive();
  if (archive === undefined)
    throw new LabError(
      `the archive of Debian's ${release} is not known: apt's list has none`,
      ExitCode.infrastructureFailed,
      "Set VEXLAB_MIRROR to the address of an archive.",
    );
  const state = join(folder, "apt");
  await mkdir(join(state, "lists", "partial"), { recursive: true });
  await mkdir(join(state, "archives", "partial"), { recursive: true });
  await writeFile(join(state, "sources.list"), `deb ${archive.main} ${release} main contrib\n`);
  const options = [
    ...["-o", `Dir::State::Lists=${state}/lists`, "-o", `Dir::Cache=${state}`],
    ...["-o", `Dir::Etc::SourceList=${state}/sources.list`, "-o", "Dir::Etc::SourceParts=-"],
    ...["-o", "Acquire::Languages=none"],
  ];
  await aptGet(["update", "--error-on=any"], options, folder, `the package lists of ${release}`);
  return options;
}

async function aptGet(
  words: readonly string[],
  options: readonly string[],
  folder: string,
  what: string,
): Promise<void> {
  // As root, apt would change to a user who can't write into the folder.
  const { exitCode, stderr, timedOut, shortMessage } = await execa(
    "apt-get",
    ["-o", "APT::Sandbox::User=root", ...options, ...words],
    { cwd: folder, reject: false, timeout: aptDeadlineMs },
  );
  if (!timedOut && exitCode === 0) return;
  const reason = timedOut
    ? `no answer within ${aptDeadlineMs / 1000} s`
    : stderr.trim() || (shortMessage ?? "");
  throw new LabError(
    `${what} can't be downloaded: ${reason}`,
    ExitCode.infrastructureFailed,
    "Run `apt-get update` as root, or look at apt's list of archives.",
  );
}
