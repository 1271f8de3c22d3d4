/**
 * Warm images in the user's cache:
 *
 *     warm/<key>/root.qcow2, test.qcow2   disks as the saved guest left them; forks lie over them
 *     warm/<key>/memory                   the guest's memory; sparse, mapped privately by forks
 *     warm/<key>/state                    its devices and processors (QEMU's migration stream)
 *     warm/<key>/warm.json                what it is, with the sha256 of each file
 *     warm/<key>/verified.json            what the files looked like when the sums were last right
 *     warm/<key>.users/                   a file for each stack whose disks lie over it
 *     warm/<key>.lock                     held while it is made
 *     warm/.building-<pid>-*              under way, or left by a run that was killed
 *
 * A folder under its key is whole, because it gets its name last.
 */
import { createHash } from "node:crypto";
import { access, mkdir, readdir, readFile, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import writeFileAtomic from "write-file-atomic";
import * as z from "zod";
import { places } from "../config/places.ts";
import { hashFile } from "../image/checksum.ts";

export const warmFolder = (cache: string = places().cache): string => join(cache, "warm");

export const warmFiles = {
  rootDisk: "root.qcow2",
  testDisk: "test.qcow2",
  memory: "memory",
  state: "state",
} as const;

const manifestSchema = z.object({
  key: z.string().regex(/^[0-9a-f]{16}$/),
  imageId: z.string(),
  /** The image's disk, which the root disk lies over. */
  imageDisk: z.string(),
  kernelRelease: z.string(),
  created: z.string(),
  files: z.record(z.string(), z.object({ sha256: z.string().length(64), bytes: z.number() })),
});
export type WarmManifest = z.infer<typeof manifestSchema>;

export interface WarmImage extends WarmManifest {
  readonly folder: string;
  readonly rootDisk: string;
  readonly testDisk: string;
  readonly memory: string;
  readonly state: string;
}

/** Makes the folder of warm images: it holds memory of guests, which is nobody else's business. */
export async function makeWarmFolder(cache?: string): Promise<void> {
  await mkdir(warmFolder(cache), { recursive: true, mode: 0o700 });
}

/** What a folder is called that is being made or removed. */
export const buildingPrefix = ".building-";

/** The keys under which there are warm images, whole or damaged. */
export async function warmKeys(cache?: string): Promise<string[]> {
  const names = await readdir(warmFolder(cache)).catch(() => []);
  return names.filter((name) => /^[0-9a-f]{16}$/.test(name)).sort();
}

/** What a warm image says it is. @throws Error when there is none that can be read */
export async function readWarmManifest(key: string, cache?: string): Promise<WarmManifest> {
  const text = await readFile(join(warmFolder(cache), key, "warm.json"), "utf8");
  return manifestSchema.parse(JSON.parse(text));
}

/** A warm image by its manifest, in a folder. */
function asWarmImage(manifest: WarmManifest, folder: string): WarmImage {
  return { ...manifest, folder, ...warmPaths(folder) };
}

/** Where the files of a warm image are in its folder, finished or not. */
export function warmPaths(
  folder: string,
): Pick<WarmImage, "rootDisk" | "testDisk" | "memory" | "state"> {
  return {
    rootDisk: join(folder, warmFiles.rootDisk),
    testDisk: join(folder, warmFiles.testDisk),
    memory: join(folder, warmFiles.memory),
    state: join(folder, warmFiles.state),
  };
}

const seenSchema = z.record(z.string(), z.string());

/** What shows that a file was not written to since: size, modification time, inode. */
async function looks(file: string): Promise<string> {
  const { size, mtimeNs, ino } = await stat(file, { bigint: true });
  return `${size} ${mtimeNs} ${ino}`;
}

/**
 * The warm image of a key, marked as used now; undefined when there is none, or when it is not what
 * was saved: a file is damaged, or the image below it has gone.
 */
export async function openWarmImage(key: string, cache?: string): Promise<WarmImage | undefined> {
  const folder = join(warmFolder(cache), key);
  try {
    const manifest = await readWarmManifest(key, cache);
    await access(manifest.imageDisk);
    const note = join(folder, "verified.json");
    const text = await readFile(note, "utf8").catch(() => "{}");
    const seen = seenSchema.parse(JSON.parse(text));
    const now: Record<string, string> = {};
    for (const [name, { sha256 }] of Object.entries(manifest.files)) {
      const file = join(folder, name);
      now[name] = await looks(file);
      if (now[name] !== seen[name] && (await hashFile(file)) !== sha256) return undefined;
    }
    if (JSON.stringify(now) !== JSON.stringify(seen))
      await writeFileAtomic(note, `${JSON.stringify(now)}\n`);
    const used = new Date();
    await utimes(folder, used, used);
    return asWarmImage(manifest, folder);
  } catch {
    // Absent, cut off, of another version: then one is made anew.
    return undefined;
  }
}

/** Writes the manifest of a folder whose files are all there; their sums are taken here. */
export async function sealWarmImage(
  folder: string,
  facts: Omit<WarmManifest, "files" | "created">,
): Promise<void> {
  const files: WarmManifest["files"] = {};
  const seen: Record<string, string> = {};
  for (const name of Object.values(warmFiles)) {
    const file = join(folder, name);
    files[name] = { sha256: await hashFile(file), bytes: (await stat(file)).size };
    seen[name] = await looks(file);
  }
  const manifest: WarmManifest = { ...facts, created: new Date().toISOString(), files };
  await writeFileAtomic(join(folder, "verified.json"), `${JSON.stringify(seen)}\n`);
  await writeFileAtomic(join(folder, "warm.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

const usersFolder = (key: string, cache?: string): string =>
  join(warmFolder(cache), `${key}.users`);
const userFile = (folder: string): string =>
  createHash("sha256").update(folder).digest("hex").slice(0, 16);

/** Notes that a stack's disks lie over a warm image: it is not removed while the folder exists. */
export async function holdWarmImage(key: string, folder: string, cache?: string): Promise<void> {
  await makeWarmFolder(cache);
  await mkdir(usersFolder(key, cache), { recursive: true });
  await writeFileAtomic(join(usersFolder(key, cache), userFile(folder)), `${folder}\n`);
}

/** Forgets that a stack uses any warm image but one. */
export async function releaseOtherWarmImages(
  folder: string,
  kept: string | undefined,
  cache?: string,
): Promise<void> {
  for (const name of await readdir(warmFolder(cache)).catch(() => [])) {
    const key = /^([0-9a-f]{16})\.users$/.exec(name)?.[1];
    if (key !== undefined && key !== kept)
      await rm(join(usersFolder(key, cache), userFile(folder)), { force: true });
  }
}

/**
 * The folders of the stacks that use a warm image; users whose folder is gone are forgotten. A note
 * that can't be read counts as a user: removing must never guess.
 */
export async function warmImageUsers(key: string, cache?: string): Promise<string[]> {
  const folder = usersFolder(key, cache);
  const names = await readdir(folder).catch(() => []);
  const users: string[] = [];
  // Others are notes that are being written.
  for (const name of names.filter((each) => /^[0-9a-f]{16}$/.test(each)).sort()) {
    const note = join(folder, name);
    try {
      const user = (await readFile(note, "utf8")).trim();
      await access(user || note);
      users.push(user || `unknown (${note})`);
    } catch (error) {
      if (isAbsent(error)) await rm(note, { force: true });
      else users.push(`unknown (${note})`);
    }
  }
  return users;
}

const isAbsent = (error: unknown): boolean =>
  ["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "");
