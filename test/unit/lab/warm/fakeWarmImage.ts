/** A temporary cache with warm images that look saved. */
import { mkdir, mkdtemp, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeWarmFolder, sealWarmImage, warmFolder } from "../../../../lab/warm/warmImage.ts";

export const keyOf = (digit: number): string => String(digit).repeat(16);

/** A folder; warm images lie in `warm/`, the image's disk that they lie over is `image.qcow2`. */
export async function temporaryWarmCache(): Promise<string> {
  const cache = await mkdtemp(join(tmpdir(), "vexlab-warm-"));
  await makeWarmFolder(cache);
  await writeFile(join(cache, "image.qcow2"), "image");
  return cache;
}

export interface FakeWarmImage {
  readonly imageId?: string;
  readonly imageDisk?: string;
  /** When it was last used; hours ago. */
  readonly hoursAgo?: number;
  /** Of its memory, beside which the other files are nothing. */
  readonly bytes?: number;
}

/** @returns its folder */
export async function putWarmImage(
  cache: string,
  key: string,
  { imageId = "debian-12-0", imageDisk, hoursAgo = 0, bytes = 4096 }: FakeWarmImage = {},
): Promise<string> {
  const folder = join(warmFolder(cache), key);
  await mkdir(folder);
  for (const name of ["root.qcow2", "test.qcow2", "state"])
    await writeFile(join(folder, name), `${name} of ${key}`);
  await writeFile(join(folder, "memory"), Buffer.alloc(bytes, 1));
  await sealWarmImage(folder, {
    key,
    imageId,
    imageDisk: imageDisk ?? join(cache, "image.qcow2"),
    kernelRelease: "6.1.0-test",
  });
  const used = new Date(Date.now() - hoursAgo * 3600 * 1000);
  await utimes(folder, used, used);
  return folder;
}
