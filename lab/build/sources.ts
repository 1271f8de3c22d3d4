/**
 * Which files of a source folder are sources, and the hash that stands for them.
 *
 * Build outputs are never sources, wherever a manual `make` or `cargo build` left them: the hash of a
 * tree is the same before and after it was built, and an editor's leftovers change nothing.
 */
import { createHash } from "node:crypto";
import { readdir, readlink, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, normalize } from "node:path/posix";
import ignore from "ignore";
import pLimit from "p-limit";
import { ConfigurationError, type Fault } from "../config/errors.ts";
import { manifestName, type Manifest } from "../config/manifest.ts";
import { declaredArtefacts } from "./artefacts.ts";
import { hashFile } from "../image/checksum.ts";

/** Files that are read at the same time. */
const atOnce = 8;

/** A file or symbolic link; folders exist through what they hold. */
export interface Source {
  /** Relative to the source folder, with `/`. */
  readonly path: string;
  readonly executable: boolean;
  /** A symbolic link's target, as written. */
  readonly target?: string;
}

// What Kbuild leaves behind (the patterns of its own `clean` rule), version control, editors, and
// vexlab's own folders. In gitignore's language, so a manifest can take one back by `!name`.
const neverSources = [
  ...[".git", ".hg", ".svn", ".bzr", ".jj", ".vexlab/", "test_results/"],
  ...["*.o", "*.ko", "*.mod", "!go.mod", "*.mod.c", ".*.cmd", ".*.d", "*.o.d", "*.dwo"],
  ...["Module.symvers", "Module.markers", "modules.order", "modules.builtin", ".tmp_*"],
  ...["*.gcda", "*.gcno", "*~", ".*.sw[a-p]", ".#*", "#*#", ".DS_Store"],
].map((pattern) => pattern.replace(/^#/, "\\#"));

/** What belongs to the sources, by its path relative to the source folder. */
export interface SourceRules {
  /** @param besideCargo whether a Cargo.toml is in the same folder: then `target` is cargo's. */
  mayHoldSources(folder: string, besideCargo: boolean): boolean;
  isSource(file: string): boolean;
}

/** What is wrong with a link that can't be a source: it is no part of what is copied. */
export const leavesFolder = "is a link that leaves the source folder";

/** The rules of a manifest. */
export function sourceRules(manifest: Manifest): SourceRules {
  const outputs = new Set(declaredArtefacts(manifest));
  const excluded = ignore({ ignorecase: false }).add(neverSources).add(manifest.sources.exclude);
  const included = ignore({ ignorecase: false }).add(manifest.sources.include);
  return {
    mayHoldSources: (folder, besideCargo) =>
      !(besideCargo && basename(folder) === "target") && !excluded.ignores(`${folder}/`),
    isSource: (file) =>
      file === manifestName ||
      (!outputs.has(file) &&
        !excluded.ignores(file) &&
        (manifest.sources.include.length === 0 || included.ignores(file))),
  };
}

/**
 * The sources of a folder, sorted by path (as bytes).
 * @throws ConfigurationError naming every link that leaves the folder and every unreadable folder.
 */
export async function listSources(folder: string, manifest: Manifest): Promise<Source[]> {
  const root = await realpath(folder);
  const rules = sourceRules(manifest);
  const found: Source[] = [];
  const faults: Fault[] = [];
  await walk("");
  if (faults.length > 0) throw new ConfigurationError(folder, faults);
  return found.sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));

  async function walk(inside: string): Promise<void> {
    let entries;
    try {
      entries = await readdir(join(root, inside), { withFileTypes: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EACCES") throw error;
      const key = inside === "" ? folder : inside;
      faults.push({ key, problem: "cannot be read", allowed: "a readable folder" });
      return;
    }
    const isCrate = entries.some((entry) => entry.name === "Cargo.toml");
    for (const entry of entries) {
      const path = join(inside, entry.name);
      if (entry.isDirectory()) {
        if (rules.mayHoldSources(path, isCrate)) await walk(path);
      } else if (rules.isSource(path)) await add(path, entry.isFile(), entry.isSymbolicLink());
    }
  }

  async function add(path: string, isFile: boolean, isLink: boolean): Promise<void> {
    if (path.includes("\ufffd")) {
      faults.push({ key: path, problem: "its name is not UTF-8", allowed: "names in UTF-8" });
    } else if (isFile) {
      const { mode } = await stat(join(root, path));
      found.push({ path, executable: (mode & 0o111) !== 0 });
    } else if (isLink) {
      const target = await readlink(join(root, path));
      if (await leaves(root, path, target)) {
        faults.push({
          key: path,
          value: target,
          problem: leavesFolder,
          allowed: "relative links inside of it, or an entry in sources.exclude",
        });
      } else found.push({ path, executable: false, target });
    }
    // Sockets, pipes and devices are no sources.
  }
}

/** sha256 (hex) over the sources' paths, executable bits, link targets and contents. */
export async function hashSources(folder: string, manifest: Manifest): Promise<string> {
  const sources = await listSources(folder, manifest);
  const slot = pLimit(atOnce);
  const contents = await Promise.all(
    sources.map(({ path, target }) => slot(() => target ?? hashFile(join(folder, path)))),
  );
  const hash = createHash("sha256");
  sources.forEach(({ path, executable, target }, index) => {
    const kind = target === undefined ? (executable ? "program" : "file") : "link";
    // No path and no target can hold a zero byte, so no two trees give the same text.
    hash.update(`${kind}\0${path}\0${contents[index] ?? ""}\0`);
  });
  return hash.digest("hex");
}

/** Whether a link points out of the folder, by its text or through other links. */
async function leaves(root: string, path: string, target: string): Promise<boolean> {
  const place = normalize(join(dirname(path), target));
  if (target.startsWith("/") || place === ".." || place.startsWith("../")) return true;
  try {
    const real = await realpath(join(root, path));
    return real !== root && !real.startsWith(`${root}/`);
  } catch {
    // A link to nothing, or to itself: harmless, and kept as it is.
    return false;
  }
}
