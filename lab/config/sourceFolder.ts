/** Whether a folder of the host can be shared with a guest: by us, and by QEMU's own user. */
import { access, constants, realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { execa } from "execa";
import type { Fault } from "./errors.ts";
import type { Places } from "./places.ts";

/** A user of the host with all groups. */
export interface HostUser {
  readonly name: string;
  readonly uid: number;
  readonly gids: readonly number[];
}

/** What is wrong with the source folder for the user who runs vexlab; undefined when nothing is. */
export async function folderFault(
  key: string,
  value: string,
  folder: string,
): Promise<Fault | undefined> {
  const fault = (problem: string): Fault => ({
    key,
    value,
    problem,
    allowed: "a readable folder with a vexlab.yaml",
  });
  const status = await stat(folder).catch((error: unknown) => error as NodeJS.ErrnoException);
  if (status instanceof Error) {
    const missing = status.code === "ENOENT" || status.code === "ENOTDIR";
    return fault(missing ? `${folder} does not exist` : `${folder}: ${status.message}`);
  }
  if (!status.isDirectory()) return fault(`${folder} is not a folder`);
  try {
    await access(folder, constants.R_OK | constants.X_OK);
    return undefined;
  } catch {
    return fault(`${folder} is not readable`);
  }
}

/** A folder of vexlab's own that lies in the source folder, where the guest could read it. */
export async function ownFolderIn(
  folder: string,
  { state, cache }: Pick<Places, "state" | "cache">,
): Promise<string | undefined> {
  const root = await realpath(folder);
  for (const own of [state, cache]) {
    // What is not there yet has no links.
    const place = await realpath(own).catch(() => own);
    if (place === root || place.startsWith(root === "/" ? root : `${root}/`)) return own;
  }
  return undefined;
}

/**
 * The first folder on the way to a folder (itself included) that is closed to a user by its mode;
 * undefined when the user can list the folder. Folders with an access control list count as open:
 * the list may well be there for that user.
 */
export async function readableBy(folder: string, user: HostUser): Promise<string | undefined> {
  if (user.uid === 0) return undefined;
  const way = [folder];
  for (let at = folder; dirname(at) !== at; at = dirname(at)) way.unshift(dirname(at));
  for (const step of way) {
    const { mode, uid, gid } = await stat(step);
    const shift = uid === user.uid ? 6 : user.gids.includes(gid) ? 3 : 0;
    // To pass through a folder takes x; to list the last one r as well.
    const needed = step === folder ? 0o5 : 0o1;
    const granted = (mode >> shift) & needed;
    if (granted !== needed && !(await hasAccessList(step))) return step;
  }
  return undefined;
}

/** The user whom the system's libvirtd runs QEMU as; undefined when the host has none such. */
export async function systemQemuUser(): Promise<HostUser | undefined> {
  // Debian's and Ubuntu's name, then Fedora's and Arch's.
  for (const name of ["libvirt-qemu", "qemu"]) {
    const uid = await execa("id", ["-u", name], { reject: false, timeout: 10_000 });
    if (uid.exitCode !== 0) continue;
    const gids = await execa("id", ["-G", name], { timeout: 10_000 });
    return { name, uid: Number(uid.stdout), gids: gids.stdout.trim().split(" ").map(Number) };
  }
  return undefined;
}

/** `ls -l` marks an access control list by a + after the mode. */
async function hasAccessList(path: string): Promise<boolean> {
  const { stdout } = await execa("ls", ["-ld", "--", path], { reject: false, timeout: 10_000 });
  return stdout.split(" ", 1)[0]?.endsWith("+") ?? false;
}
