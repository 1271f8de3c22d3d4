/**
 * Where the packages of an image come from: the host's own apt configuration, or VEXLAB_MIRROR.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { ExitCode, LabError } from "../config/errors.ts";
import { findDebianArchive, parseDeb822, parseOneLine, type DebianArchive } from "./aptSources.ts";

/**
 * The archive to build from; undefined leaves the choice to mmdebstrap.
 *
 * `VEXLAB_MIRROR` names the archive and `VEXLAB_SECURITY_MIRROR` the security archive. With only the
 * first, images are built without security updates: a closed network need not have both.
 */
export async function packageArchive(
  environment: NodeJS.ProcessEnv = process.env,
  aptFolder = "/etc/apt",
): Promise<DebianArchive | undefined> {
  const main = environment["VEXLAB_MIRROR"];
  const security = environment["VEXLAB_SECURITY_MIRROR"];
  for (const [name, value] of Object.entries({
    VEXLAB_MIRROR: main,
    VEXLAB_SECURITY_MIRROR: security,
  }))
    if (value && (!/^https?:\/\/\S+$/.test(value) || !URL.canParse(value)))
      throw new LabError(
        `${name} is ${value}: not the address of a package archive`,
        ExitCode.usage,
        `Set ${name} to an http or https address without blanks, or unset it.`,
      );
  if (main) return { main, ...(security ? { security } : {}) };

  // Most commands end without it.
  const { default: fastGlob } = await import("fast-glob");
  const lists = await fastGlob(["sources.list", "sources.list.d/*.{list,sources}"], {
    cwd: aptFolder,
  });
  const sources = await Promise.all(
    lists.sort().map(async (name) => {
      const text = await readFile(join(aptFolder, name), "utf8");
      return name.endsWith(".sources") ? parseDeb822(text) : parseOneLine(text);
    }),
  );
  return findDebianArchive(sources.flat());
}

// How to reach the archive is part of the host's configuration too.
const carriedOptions = [
  "Acquire::http::Proxy",
  "Acquire::https::Proxy",
  "Acquire::Check-Valid-Until",
  "Acquire::Check-Date",
  "Acquire::Retries",
];

/** Settings of the host's apt that a build needs as well, as `Name "value";`. */
export async function archiveOptions(): Promise<string[]> {
  const { stdout } = await execa("apt-config", ["dump", ...carriedOptions], { reject: false });
  return stdout.split("\n").filter((line) => /^[\w:-]+ "[^"]+";$/.test(line));
}
