/** Copies of a source folder: what is built, hashed and tested is never the user's own tree. */
import { constants } from "node:fs";
import {
  chmod,
  copyFile,
  mkdir,
  open,
  readdir,
  readlink,
  realpath,
  rm,
  symlink,
} from "node:fs/promises";
import { dirname, join, relative } from "node:path/posix";
import { isDeepStrictEqual } from "node:util";
import pLimit from "p-limit";
import { ConfigurationError, ExitCode, LabError } from "../config/errors.ts";
import { readManifest, type Manifest } from "../config/manifest.ts";
import { listSources, type Source } from "./sources.ts";

/** Files that are copied at the same time. */
const atOnce = 8;

// An editor that saves by renaming makes files vanish for a moment.
const attempts = 3;

/**
 * Copies the sources into a folder, which is made anew, and gives the copy's own manifest.
 * @throws ConfigurationError when the manifest is wrong or a source can't be read; LabError when the
 * folder keeps changing while it is read.
 */
export async function copySources(source: string, copy: string): Promise<Manifest> {
  for (let attempt = 1; ; attempt++) {
    const manifest = await readManifest(source);
    try {
      await rm(copy, { recursive: true, force: true });
      await copyTree(source, copy, manifest);
      const copied = await readManifest(copy);
      if (isDeepStrictEqual(copied, manifest)) return copied;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
    if (attempt === attempts) {
      throw new LabError(
        `the source folder ${source} changes while it is copied (tried ${attempts} times)`,
        ExitCode.infrastructureFailed,
        "Wait until whatever writes there has finished and run the command again.",
      );
    }
  }
}

/** Copies the sources of a folder; modes become 644 or 755, times are new. */
export async function copyTree(source: string, copy: string, manifest: Manifest): Promise<void> {
  const sources = await listSources(source, manifest);
  for (const folder of new Set(sources.map(({ path }) => dirname(path))))
    await mkdir(join(copy, folder), { recursive: true });
  const root = await realpath(source);
  const slot = pLimit(atOnce);
  // Settled, not all: nothing may be written any more when the copy is removed.
  const copied = await Promise.allSettled(
    sources.map((one) => slot(() => copyOne(source, root, copy, one))),
  );
  for (const each of copied) if (each.status === "rejected") throw each.reason;
}

/** Copies one source, with the folders above it; nothing of that name is there yet. */
export async function copySource(source: string, copy: string, one: Source): Promise<void> {
  await mkdir(dirname(join(copy, one.path)), { recursive: true });
  await copyOne(source, await realpath(source), copy, one);
}

async function copyOne(
  source: string,
  root: string,
  copy: string,
  { path, executable, target }: Source,
): Promise<void> {
  const to = join(copy, path);
  if (target !== undefined) {
    await symlink(target, to);
    return;
  }
  await copyContent(root, path, to).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== "EACCES") throw error;
    throw new ConfigurationError(source, [
      { key: path, problem: "cannot be read", allowed: "a readable file" },
    ]);
  });
  await chmod(to, executable ? 0o755 : 0o644);
}

/**
 * Copies the file that really lies there. A guest that may write to the share can put a link in the
 * place of a file, or of a folder above it, after the sources were listed: what it points to would come
 * into the build, which the guest gets.
 * @param root the source folder's real path
 */
async function copyContent(root: string, path: string, to: string): Promise<void> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = await open(join(root, path), O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch(vanished);
  try {
    const opened = `/proc/self/fd/${file.fd}`;
    const isThere = (await readlink(opened)) === join(root, path);
    if (!isThere || !(await file.stat()).isFile()) throw changed(path);
    await copyFile(opened, to, constants.COPYFILE_FICLONE);
  } finally {
    await file.close();
  }
}

/** As if it was gone: the sources are listed anew. */
const changed = (path: string): Error =>
  Object.assign(new Error(`${path} is no longer a file of the source folder`), { code: "ENOENT" });

function vanished(error: unknown): never {
  const { code, path = "" } = error as NodeJS.ErrnoException;
  // ELOOP: a link, which is not followed.
  throw code === "ELOOP" ? changed(path) : error;
}

/** Every regular file of a folder, relative to it, sorted. */
export async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}
