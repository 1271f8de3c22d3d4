/**
 * DKMS packages: their dkms.conf is a program in bash's language (dkms(8)), so bash reads it, by
 * guest/lib/vexlab_guest/dkms.sh, and only where builds run: in the sandbox or in the guest.
 *
 * A parser of our own would be wrong for real packages: they read the kernel's configuration, compare
 * versions by sort and count array indices up.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { normalize } from "node:path/posix";
import { places } from "../config/places.ts";

/** What the script leaves in the module's folder: the modules that were to be made. */
export const dkmsRecord = ".vexlab-dkms";

/** What a dkms.conf says for one kernel. */
export interface DkmsConf {
  /** PACKAGE_NAME and PACKAGE_VERSION. */
  readonly name: string;
  readonly version: string;
  /** The command that builds. */
  readonly make: string;
  /** The modules' paths relative to the package's folder. */
  readonly modules: readonly string[];
  /** The patches that this kernel gets, and all that there are. */
  readonly patches: readonly string[];
  readonly allPatches: readonly string[];
  /** Other DKMS packages (BUILD_DEPENDS). */
  readonly needs: readonly string[];
  /** Programs that run before and after the build. */
  readonly scripts: readonly string[];
  /** Why the package does not want this kernel. */
  readonly excluded?: string;
}

/**
 * The command that builds a package in its current folder, or prints what its dkms.conf says.
 * @param conf path relative to that folder.
 */
export function dkmsCommand(
  verb: "build" | "show",
  conf: string,
  kernelRelease: string,
  jobs = 1,
): string[] {
  const file = join(places().checkout, "guest", "lib", "vexlab_guest", "dkms.sh");
  const headers = `/lib/modules/${kernelRelease}/build`;
  const script = readFileSync(file, "utf8");
  return ["bash", "-c", script, "dkms.sh", verb, conf, kernelRelease, headers, `${jobs}`];
}

/** What `show` printed. */
export function parseDkmsConf(text: string): DkmsConf {
  const values = entries(text);
  const one = (name: string): string => values.get(name)?.[0] ?? "";
  const all = (name: string): string[] => values.get(name) ?? [];
  const excluded = values.get("excluded")?.[0];
  return {
    name: one("name"),
    version: one("version"),
    make: one("make"),
    modules: modulesIn(text),
    patches: all("patch"),
    allPatches: all("patches"),
    needs: all("needs"),
    scripts: [...all("before"), ...all("after")],
    ...(excluded !== undefined && { excluded }),
  };
}

/** The modules of a record, without paths that leave the folder: a dkms.conf can name anything. */
export function modulesIn(text: string): string[] {
  return named(text).filter(isInside);
}

/** Those that a record names outside of the folder, where nobody looks for them. */
export function modulesOutside(text: string): string[] {
  return named(text).filter((path) => !isInside(path));
}

function named(text: string): string[] {
  return [...new Set((entries(text).get("module") ?? []).map((path) => normalize(path)))];
}

const isInside = (path: string): boolean =>
  path.endsWith(".ko") && !path.startsWith("/") && !path.split("/").includes("..");

/** NAME=VALUE, each ended by a zero byte. */
function entries(text: string): Map<string, string[]> {
  const values = new Map<string, string[]>();
  for (const entry of text.split("\0")) {
    const [, name, value] = /^([a-z]+)=(.*)$/s.exec(entry) ?? [];
    if (name !== undefined) values.set(name, [...(values.get(name) ?? []), value ?? ""]);
  }
  return values;
}
