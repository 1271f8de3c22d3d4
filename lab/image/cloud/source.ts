/** What stands for the source of a downloaded image: in names of files, and for what it holds. */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { CloudImageSource } from "../../config/cloudImages.ts";

/** The hash of what the configuration says: 16 hex digits. */
function configHash({ name, urls, mirrored, check }: CloudImageSource): string {
  const parts = JSON.stringify(["cloud image", name, urls, mirrored, check]);
  return createHash("sha256").update(parts).digest("hex").slice(0, 16);
}

/** A name of ours, or one made of the address. */
export function sourceName(source: CloudImageSource): string {
  return source.name ?? `image-${configHash(source).slice(0, 8)}`;
}

/** A name and what tells it from other sources of that name. */
export function sourceLabel(source: CloudImageSource): string {
  return `${sourceName(source)}@${configHash(source).slice(0, 8)}`;
}

/**
 * The hash of everything that decides what the image is: 16 hex digits. A file that nothing is checked
 * by is known by its size and time, as the sources of a module are by their content.
 */
export async function sourceHash(source: CloudImageSource): Promise<string> {
  const hash = configHash(source);
  const local = source.urls.find((url) => url.startsWith("file:"));
  if (local === undefined || source.check.by !== "nothing") return hash;
  const status = await stat(fileURLToPath(local)).catch(() => undefined);
  const looks = status === undefined ? "absent" : `${status.size} ${status.mtimeMs}`;
  return createHash("sha256").update(`${hash} ${looks}`).digest("hex").slice(0, 16);
}
