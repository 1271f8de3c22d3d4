/**
 * Whether the files of an image are still what its build wrote.
 *
 * Reading two gigabytes at each use would cost seconds, so a full check leaves a note of each
 * file's size, modification time and inode. A file that still has all three has not been written to
 * by ordinary means since its checksum was right. Any difference means reading it again. What this
 * cannot see, decay of the storage underneath or a restored time stamp, `image verify` finds, which
 * always reads everything.
 */
import { createHash } from "node:crypto";
import { lstat, readdir, readFile, readlink, stat } from "node:fs/promises";
import { join } from "node:path";
import writeFileAtomic from "write-file-atomic";
import * as z from "zod";
import { fileNames, imageFolder, type Manifest } from "./cache.ts";
import { hashFile } from "./checksum.ts";

/**
 * A digest of a folder's tree: names, kinds, permissions, sizes of files and targets of links, not
 * contents, so that it costs one walk instead of reading everything.
 */
export async function digestTree(folder: string): Promise<string> {
  const hash = createHash("sha256");
  const walk = async (relative: string): Promise<void> => {
    const entries = await readdir(join(folder, relative), { withFileTypes: true });
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    const described = await Promise.all(
      entries.map(async (entry) => {
        const path = join(folder, relative, entry.name);
        if (entry.isSymbolicLink()) return `link ${await readlink(path)}`;
        const { mode, size } = await lstat(path);
        return `${entry.isDirectory() ? "folder" : `file ${size}`} ${(mode & 0o7777).toString(8)}`;
      }),
    );
    for (const [index, entry] of entries.entries()) {
      const name = join(relative, entry.name);
      hash.update(`${name}\0${described[index] ?? ""}\0`);
      if (entry.isDirectory()) await walk(name);
    }
  };
  await walk("");
  return hash.digest("hex");
}

const seenSchema = z.record(
  z.string(),
  z.object({ sha256: z.string(), bytes: z.number(), modified: z.string(), inode: z.string() }),
);
type Seen = z.infer<typeof seenSchema>;

const noteFile = (id: string, cache?: string): string =>
  join(imageFolder(id, cache), "verified.json");

async function readNote(id: string, cache?: string): Promise<Seen> {
  try {
    return seenSchema.parse(JSON.parse(await readFile(noteFile(id, cache), "utf8")));
  } catch {
    return {};
  }
}

/** One thing that is wrong with an image's files. */
export interface Damage {
  /** Relative to the image's folder. */
  readonly file: string;
  readonly problem: string;
}

/**
 * Checks the files of an image, and the sysroot when everything is read.
 *
 * @param read "changed": only files that differ from the last full check; "all": everything
 * @returns what is damaged; empty when the image is whole
 */
export async function verifyFiles(
  manifest: Manifest,
  read: "changed" | "all",
  cache?: string,
): Promise<Damage[]> {
  const folder = imageFolder(manifest.id, cache);
  const seen = await readNote(manifest.id, cache);
  const now: Seen = {};
  const damages: Damage[] = [];
  let hashed = false;

  for (const [file, expected] of Object.entries(manifest.files)) {
    const status = await stat(join(folder, file), { bigint: true }).catch(() => undefined);
    if (status === undefined || !status.isFile()) {
      damages.push({ file, problem: "missing" });
      continue;
    }
    const bytes = Number(status.size);
    if (bytes !== expected.bytes) {
      damages.push({ file, problem: `${bytes} bytes instead of ${expected.bytes}` });
      continue;
    }
    const current = {
      sha256: expected.sha256,
      bytes,
      modified: String(status.mtimeNs),
      inode: String(status.ino),
    };
    const before = seen[file];
    const unchanged =
      before?.sha256 === current.sha256 &&
      before.bytes === current.bytes &&
      before.modified === current.modified &&
      before.inode === current.inode;
    if (read === "all" || !unchanged) {
      hashed = true;
      const sha256 = await hashFile(join(folder, file));
      if (sha256 !== expected.sha256) {
        damages.push({ file, problem: `its checksum is ${sha256} instead of ${expected.sha256}` });
        continue;
      }
    }
    now[file] = current;
  }

  const sysroot = join(folder, fileNames.sysroot);
  if (manifest.kernelRelease === undefined) {
    // Downloaded: nothing but its disk.
  } else if (read === "all") {
    const digest = await digestTree(sysroot).catch(() => undefined);
    if (digest !== manifest.sysrootDigest)
      damages.push({
        file: fileNames.sysroot,
        problem: digest === undefined ? "missing" : "files were added, removed or changed",
      });
  } else if (
    !(await stat(join(sysroot, "usr/lib/modules", manifest.kernelRelease)).catch(() => undefined))
  )
    damages.push({ file: fileNames.sysroot, problem: "has no modules of its kernel" });

  if (hashed) await writeFileAtomic(noteFile(manifest.id, cache), `${JSON.stringify(now)}\n`);
  return damages;
}
