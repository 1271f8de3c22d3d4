/** What a build has to make: that it is there, for the right kernel, and its checksums. */
import { createHash } from "node:crypto";
import { lstat, readFile } from "node:fs/promises";
import { basename, extname, join } from "node:path/posix";
import { ExitCode, LabError } from "../config/errors.ts";
import type { Manifest } from "../config/manifest.ts";
import { hashFile } from "../image/checksum.ts";
import { dkmsRecord, modulesIn, modulesOutside } from "./dkms.ts";
import { moduleIdentity } from "./elf.ts";
import type { Artefact } from "./result.ts";

/** Every artefact that the manifest declares, relative to the source folder, modules first. */
export function declaredArtefacts(manifest: Manifest): string[] {
  const parts = [manifest.module, ...manifest.tools];
  return parts.flatMap((part) => part.artefacts.map((file) => join(part.folder, file)));
}

/**
 * Every artefact that a build of this tree has to make: those that the manifest declares, or in place
 * of a dkms.conf's modules those that it named when it was run.
 */
export async function wantedArtefacts(folder: string, manifest: Manifest): Promise<string[]> {
  const { module, load } = manifest;
  const declared = declaredArtefacts(manifest);
  const record = await recordIn(folder, manifest);
  if (record === undefined) return declared;
  const modules = [...modulesIn(record), ...load.modules].map((file) => join(module.folder, file));
  return [...new Set([...modules, ...declared])];
}

/** What the run of a dkms.conf left, when it decides which modules are wanted. */
async function recordIn(folder: string, { module }: Manifest): Promise<string | undefined> {
  if (module.dkms === undefined || module.artefacts.length > 0) return undefined;
  return readFile(join(folder, module.folder, dkmsRecord), "utf8").catch(() => "");
}

/** What is wrong with the list of modules itself: without a module there is nothing to test. */
function recordFaults(record: string, conf: string): string[] {
  const outside = modulesOutside(record).map(
    (path) => `${conf} puts ${path} outside of its folder`,
  );
  return modulesIn(record).length > 0 ? outside : [...outside, `${conf} names no module`];
}

/** The build's commands succeeded, but an artefact is missing or is not what it has to be. */
export class WrongArtefacts extends LabError {}

/**
 * The artefacts of a built tree.
 * @param made every file that the build left, for telling what was made instead.
 * @throws WrongArtefacts naming those that aren't there (and what was made instead), and
 * modules that were built for another kernel.
 */
export async function collectArtefacts(
  folder: string,
  manifest: Manifest,
  kernelRelease: string,
  made: readonly string[],
): Promise<Artefact[]> {
  const artefacts: Artefact[] = [];
  const record = await recordIn(folder, manifest);
  const faults = record === undefined ? [] : recordFaults(record, manifest.module.dkms ?? "");
  for (const path of await wantedArtefacts(folder, manifest)) {
    const file = join(folder, path);
    const status = await lstat(file).catch(() => undefined);
    if (status?.isFile() !== true) {
      const what = status === undefined ? "was not made" : "is not a regular file";
      faults.push(`${path} ${what}; ${madeInstead(made, path)}`);
      continue;
    }
    const module = path.endsWith(".ko") ? await moduleIdentity(file) : undefined;
    if (module !== undefined && module.release !== kernelRelease) {
      faults.push(
        module.release === undefined
          ? `${path} is not a kernel module (it has no vermagic)`
          : `${path} was built for kernel ${module.release}, the image has ${kernelRelease}`,
      );
    }
    const depends = module && { depends: module.depends };
    artefacts.push({ path, sha256: await hashFile(file), bytes: status.size, ...depends });
  }
  if (faults.length === 0) return artefacts;
  throw new WrongArtefacts(
    `the build of ${manifest.name} ended without error, but ${faults.join("; ")}`,
    ExitCode.buildFailed,
    `Correct the artefacts in ${manifest.module.dkms ?? "vexlab.yaml"}, or the Makefile.`,
  );
}

/** One hash for all artefacts: sha256 over their paths and contents. */
export function hashArtefacts(artefacts: readonly Artefact[]): string {
  const hash = createHash("sha256");
  const sorted = [...artefacts].sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const { path, sha256 } of sorted) hash.update(`${path}\0${sha256}\0`);
  return hash.digest("hex");
}

/** Files of the same kind in the tree: the likely spelling of a wrong artefact. */
function madeInstead(made: readonly string[], path: string): string {
  const kind = extname(path);
  const files = made.filter((file) =>
    kind === "" ? basename(file) === basename(path) : extname(file) === kind,
  );
  const shown = files.slice(0, 5).join(", ") + (files.length > 5 ? ", ..." : "");
  const what = kind === "" ? `file called ${basename(path)}` : `${kind} file`;
  return files.length === 0 ? `no ${what} was made` : `there is ${shown}`;
}
