/**
 * Runs commands that must own a root file system: as root in a mount and process namespace, as an
 * ordinary user in a user namespace as well, where the user is root and the subordinate ids of
 * /etc/subuid are everyone else.
 *
 * Mounts and processes end with the namespace, and the namespace ends with us: setpriv has the
 * kernel kill unshare when this process dies, unshare has it kill the first process inside, and a
 * process namespace dies with its first process. So neither Ctrl-C nor SIGKILL leaves anything
 * mounted or running. unshare itself ignores SIGINT and SIGTERM while it waits, hence SIGKILL.
 */
import { access, constants, readFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { execa, type ExecaError } from "execa";
import { ExitCode, LabError } from "../config/errors.ts";

const isRoot = (): boolean => process.getuid?.() === 0;

// Where mke2fs, chroot and others are; not on every ordinary user's PATH.
const searchPath = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;

const prefix = (): string[] => [
  ...["setpriv", "--pdeathsig", "KILL", "--", "unshare"],
  ...(isRoot() ? [] : ["--user", "--map-root-user", "--map-auto"]),
  ...["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"],
];

/** The programs that a build calls, and the Debian package of each. */
const programs: Readonly<Record<string, string>> = {
  chroot: "coreutils",
  flock: "util-linux",
  mke2fs: "e2fsprogs",
  mmdebstrap: "mmdebstrap",
  "qemu-img": "qemu-utils",
  setpriv: "util-linux",
  unshare: "util-linux",
};

async function isOnPath(program: string): Promise<boolean> {
  for (const folder of searchPath.split(delimiter).filter((each) => each !== ""))
    try {
      await access(join(folder, program), constants.X_OK);
      return true;
    } catch {
      continue;
    }
  return false;
}

/**
 * Finds out whether this host and user can build images.
 *
 * @throws LabError naming the packages or the subordinate ids that are missing
 */
export async function checkBuildHost(): Promise<void> {
  const needed = isRoot() ? programs : { ...programs, newuidmap: "uidmap" };
  const missing: [string, string][] = [];
  for (const [program, debianPackage] of Object.entries(needed))
    if (!(await isOnPath(program))) missing.push([program, debianPackage]);
  if (missing.length > 0) {
    const packages = [...new Set(missing.map(([, debianPackage]) => debianPackage))];
    throw new LabError(
      `building an image needs ${missing.map(([program]) => program).join(", ")}, which is not on PATH`,
      ExitCode.infrastructureFailed,
      `Install it: apt-get install ${packages.join(" ")}`,
    );
  }
  if (isRoot()) return;
  const { username, uid } = userInfo();
  for (const file of ["/etc/subuid", "/etc/subgid"]) {
    const lines = await readFile(file, "utf8").catch(() => "");
    const owners = lines.split("\n").map((line) => line.split(":")[0]);
    if (!owners.includes(username) && !owners.includes(String(uid)))
      throw new LabError(
        `${username} has no subordinate ids in ${file}, so no namespace can hold the files of an image`,
        ExitCode.infrastructureFailed,
        `As root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${username}`,
      );
  }
}

export interface NamespaceOptions {
  readonly onLine?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * Runs one command to its end as root of a namespace.
 *
 * @throws LabError with the last lines that it printed, or with exit code 130 when cancelled
 */
export async function runAsRoot(
  argv: readonly string[],
  options: NamespaceOptions = {},
): Promise<void> {
  const [program = "", ...leading] = prefix();
  const child = execa(program, [...leading, ...argv], {
    all: true,
    buffer: false,
    stdin: "ignore",
    env: { PATH: searchPath, LC_ALL: "C.UTF-8", ...options.environment },
    killSignal: "SIGKILL",
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
  });
  const last: string[] = [];
  const reading = (async () => {
    for await (const line of createInterface({ input: child.all })) {
      last.push(line);
      if (last.length > 15) last.shift();
      options.onLine?.(line);
    }
  })();
  try {
    await child;
  } catch (error) {
    const { isCanceled, exitCode, signal } = error as ExecaError;
    if (isCanceled)
      throw new LabError("cancelled", ExitCode.cancelled, undefined, { cause: error });
    await reading.catch(() => undefined);
    throw new LabError(
      `${argv[0] ?? ""} ended with ${signal ?? `exit code ${exitCode ?? "unknown"}`}:\n  ${last.join("\n  ")}`,
      ExitCode.infrastructureFailed,
      undefined,
      { cause: error },
    );
  }
  await reading;
}

/**
 * Deletes folders that may hold files of subordinate ids, which only the namespace's root can
 * delete. Never leaves the folders' own file system.
 */
export async function removeFolders(folders: readonly string[]): Promise<void> {
  if (folders.length > 0)
    await runAsRoot(["rm", "--recursive", "--force", "--one-file-system", "--", ...folders]);
}
