/**
 * Who uses an image: a file for each stack, beside the image's folder, so that pruning knows.
 */
import { createHash } from "node:crypto";
import { access, mkdir, readdir, readFile, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import writeFileAtomic from "write-file-atomic";
import * as z from "zod";
import { imagesFolder } from "./cache.ts";

const holderSchema = z.object({
  /** Whom a person would recognise: a stack's name and its checkout. */
  holder: z.string(),
  /** While this folder exists the image is in use; undefined: until it is released. */
  folder: z.string().optional(),
  since: z.string(),
});
export type Holder = z.infer<typeof holderSchema>;

const usersFolder = (id: string, cache?: string): string =>
  join(imagesFolder(cache), `${id}.users`);

const holderFile = (id: string, holder: string, cache?: string): string =>
  join(
    usersFolder(id, cache),
    `${createHash("sha256").update(holder).digest("hex").slice(0, 16)}.json`,
  );

/**
 * Notes that a stack uses an image, which is then not pruned.
 *
 * @param holder such as "dev of /home/user/vexlab"; the same text releases it
 * @param folder the stack's folder: when it is gone, so is its claim, released or not
 */
export async function holdImage(
  id: string,
  holder: string,
  folder?: string,
  cache?: string,
): Promise<void> {
  await mkdir(usersFolder(id, cache), { recursive: true });
  const note: Holder = {
    holder,
    ...(folder === undefined ? {} : { folder }),
    since: new Date().toISOString(),
  };
  await writeFileAtomic(holderFile(id, holder, cache), `${JSON.stringify(note)}\n`);
}

/** Undoes holdImage; without effect when nothing is held. */
export async function releaseImage(id: string, holder: string, cache?: string): Promise<void> {
  await rm(holderFile(id, holder, cache), { force: true });
  // Fails while others hold the image, which is as it should be.
  await rmdir(usersFolder(id, cache)).catch(() => undefined);
}

/** Who uses an image. A note that cannot be read counts as a user: pruning must never guess. */
export async function imageHolders(id: string, cache?: string): Promise<Holder[]> {
  const folder = usersFolder(id, cache);
  const names = await readdir(folder).catch(() => []);
  const holders: Holder[] = [];
  for (const name of names.filter((each) => each.endsWith(".json")).sort()) {
    let note: Holder;
    try {
      note = holderSchema.parse(JSON.parse(await readFile(join(folder, name), "utf8")));
    } catch {
      holders.push({ holder: `unknown (${join(folder, name)})`, since: "" });
      continue;
    }
    if (note.folder !== undefined) {
      const gone = await access(note.folder).then(
        () => false,
        () => true,
      );
      if (gone) continue;
    }
    holders.push(note);
  }
  return holders;
}
