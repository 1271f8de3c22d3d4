/**
 * Guests for test runs: forks of a stack's warm image beside its own guest, which they don't touch.
 * They are transient domains, named after the stack and the process that made them, so that whoever
 * comes later can tell which are left over.
 */
import { mkdir, readdir, rm } from "node:fs/promises";
import { isAbsolute, join, relative } from "node:path";
import { ExitCode, LabError } from "../config/errors.ts";
import { controlSocket, daemonFolder } from "../config/places.ts";
import { share } from "../guest/cloudInit.ts";
import type { ControlSession } from "../guest/controlSession.ts";
import { GuestError } from "../guest/guestError.ts";
import { ensureDaemonOf } from "../hypervisor/daemonUse.ts";
import { powerOff } from "../hypervisor/powerOff.ts";
import { virsh } from "../hypervisor/virsh.ts";
import { isRunning } from "../hypervisor/processes.ts";
import { diskNames } from "../hypervisor/diskNames.ts";
import type { Progress } from "../report/progress.ts";
import { identify, overlay, startFork } from "./fork.ts";
import {
  describeStack,
  ensureWarmImage,
  imageOf,
  type StackDefinition,
  type StackGuest,
} from "./stackGuest.ts";
import { siblingFolders } from "./template.ts";
import { holdWarmImage, type WarmImage } from "./warmImage.ts";

export interface Sibling {
  readonly guest: Guest;
  /** The domain's name. */
  readonly domain: string;
  readonly consoleFile: string;
  /** Ends it and removes everything of it; may be called twice. */
  remove(): Promise<void>;
}

/** What forks of a stack are made from; looked up once for all of them. */
export interface ForkBase {
  readonly stackGuest: StackGuest;
  readonly described: StackDefinition;
  readonly warm: WarmImage;
  /** The folder of the stack's builds, which its forks see; it exists when a fork starts. */
  readonly builds: string;
}

/**
 * What forks of a stack are made from, saved first if it isn't yet.
 * @throws DamagedImage when the image below has changed; LabError
 */
export async function forkBase(
  stackGuest: StackGuest,
  builds: string,
  progress: Progress,
  signal?: AbortSignal,
): Promise<ForkBase> {
  await imageOf(stackGuest);
  const described = await describeStack(stackGuest);
  const { stackFolder, libvirtUri } = stackGuest;
  // Of runs that were killed.
  await removeSiblings({ stackFolder, libvirtUri, name: described.facts.name });
  const options = { replacesDisks: false, signal };
  const warm = await ensureWarmImage(stackGuest, described, progress, options);
  await mkdir(builds, { recursive: true });
  return { stackGuest, described, warm, builds };
}

let count = 0;
const infix = "-fork-";
const mountMs = 30_000;

/** What a run uses of a guest. */
export type Guest = Pick<ControlSession, "run" | "uploadFolder">;

/**
 * A just booted guest beside the stack's own. It has no SSH port: commands go through its agent. Its
 * share is not the user's folder but that of the stack's finished builds, which never change: what is
 * tested lies in the guest without being copied.
 * @throws LabError; nothing is left of it then.
 */
export async function startSibling(base: ForkBase, signal?: AbortSignal): Promise<Sibling> {
  const { stackGuest, described, warm, builds } = base;
  const { libvirtUri, user, stackFolder } = stackGuest;
  const { definition, identity } = described;
  const { name } = described.facts;
  const own = `${process.pid}-${++count}`;
  const domain = `${name}${infix}${own}`;
  const folder = join(forksFolder(stackFolder), own);
  const disks = {
    vda: join(folder, "disks", diskNames.root),
    vdb: join(folder, "disks", diskNames.test),
    vdc: join(stackFolder, "pool", diskNames.cloudInit),
  };
  const consoleFile = join(folder, "console.log");
  const socket = controlSocket(domain);
  const remove = async (): Promise<void> => {
    // A guest runs on without libvirt's daemon, which may have been killed or is being restarted.
    await ensureDaemonOf(libvirtUri).catch(() => undefined);
    await powerOff(libvirtUri, domain);
    await rm(folder, { recursive: true, force: true });
    await rm(socket, { force: true });
  };
  try {
    // The stack has held it since it was opened; a start of its own guest may have let go since.
    await holdWarmImage(warm.key, stackFolder);
    await Promise.all([overlay(warm.rootDisk, disks.vda), overlay(warm.testDisk, disks.vdb)]);
    const fork = {
      ...{ name: domain, disks, consoleFile, shareFolder: builds },
      ...{ controlSocket: socket, transient: true },
    };
    await startFork({ definition, libvirtUri, warm, fork, sockets: daemonFolder() });
    const { session, problems } = await identify(
      socket,
      { user, ...identity },
      { own: false, mount: mountBuilds, signal },
    );
    const close = async (): Promise<void> => {
      session.close();
      await remove();
    };
    if (problems.length === 0) {
      let views = 0;
      const run: Guest["run"] = (argv, options) => {
        const root = argv[0] === "sudo" && argv[1] === "-n";
        // The agent is root already; sudo takes an emulated guest a quarter of a second.
        return root
          ? session.run(argv.slice(2), { ...options, user: "root", env: { SUDO_USER: user } })
          : session.run(argv, options);
      };
      const uploadFolder: Guest["uploadFolder"] = (local, remote, options) => {
        const path = relative(builds, local);
        const shared = path !== "" && !path.startsWith("..") && !isAbsolute(path);
        return shared
          ? asRoot(session, layOver(path, remote, ++views, user))
          : session.uploadFolder(local, remote, options);
      };
      return { guest: { run, uploadFolder }, domain, consoleFile, remove: close };
    }
    await close();
    throw new LabError(problems.join("; "), ExitCode.infrastructureFailed);
  } catch (error) {
    await remove();
    throw error;
  }
}

/*
 * The share as the lower layer of writable views. It never changes, as overlayfs demands of a lower
 * layer (Documentation/filesystems/overlayfs.rst), so the client may cache it (cache=loose,
 * Documentation/filesystems/9p.rst).
 */
const mountBuilds = {
  source: share.tag,
  folder: siblingFolders.builds,
  type: "9p",
  options: "trans=virtio,version=9p2000.L,msize=262144,ro,cache=loose",
};
const layOverScript = `\
install -d -o "$4" "$2" $3/upper $3/work
exec mount -t overlay -o "lowerdir=$1,upperdir=$3/upper,workdir=$3/work" overlay "$2"
`;

/** The words of a command that shows a build, writable, at another place. */
function layOver(build: string, place: string, view: number, user: string): string[] {
  const { builds, views } = siblingFolders;
  const words = [`${builds}/${build}`, place, `${views}/${view}`, user];
  return ["sh", "-c", layOverScript, "sh", ...words];
}

async function asRoot(session: ControlSession, argv: readonly string[]): Promise<void> {
  const { exitCode, stderr } = await session.run(argv, { user: "root", deadlineMs: mountMs });
  if (exitCode !== 0)
    throw new GuestError("transfer", `the build can't be mounted in the guest: ${stderr.trim()}`);
}

/**
 * Removes forks of a stack that nobody uses.
 * @param all also those whose process still runs: the stack is being removed
 * @returns their names
 */
export async function removeSiblings(
  guest: { readonly stackFolder: string; readonly libvirtUri: string; readonly name: string },
  all = false,
): Promise<string[]> {
  const prefix = `${guest.name}${infix}`;
  const left = async (own: string): Promise<boolean> =>
    all || !(await isRunning(Number(own.split("-")[0])));
  const text = await virsh(guest.libvirtUri, ["list", "--all", "--transient", "--name"]);
  const domains = text
    .split("\n")
    .map((line) => line.trim())
    .filter((name) => name.startsWith(prefix) && /^\d+-\d+$/.test(name.slice(prefix.length)));
  const removed: string[] = [];
  for (const domain of domains) {
    if (!(await left(domain.slice(prefix.length)))) continue;
    await powerOff(guest.libvirtUri, domain);
    await rm(controlSocket(domain), { force: true });
    removed.push(domain);
  }
  const folder = forksFolder(guest.stackFolder);
  for (const own of await readdir(folder).catch(() => []))
    if (await left(own)) await rm(join(folder, own), { recursive: true, force: true });
  return removed;
}

const forksFolder = (stackFolder: string): string => join(stackFolder, "forks");
