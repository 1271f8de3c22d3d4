/** The image that a stack's configuration means, whether it is built or downloaded. */
import type { StackConfig } from "./config/stack.ts";
import { ensureCloudImage } from "./image/cloud/cloudImage.ts";
import { sourceName } from "./image/cloud/source.ts";
import { ensureImage, type Image } from "./image/image.ts";
import type { Progress } from "./report/progress.ts";

type ImageConfig = Pick<StackConfig, "imageSource" | "diskMiB">;

/** A name for people. */
export function stackImageName({ imageSource }: ImageConfig): string {
  return "recipe" in imageSource ? imageSource.recipe : sourceName(imageSource.download);
}

/** The same for configurations that mean the same image, and only for those. */
export function stackImageKey({ imageSource }: ImageConfig): string {
  return JSON.stringify(imageSource);
}

/**
 * The image: taken from the cache, built or downloaded.
 * @throws LabError, see ensureImage and ensureCloudImage
 */
export async function ensureStackImage(
  { imageSource, diskMiB }: ImageConfig,
  progress: Progress,
  signal: AbortSignal,
): Promise<Image> {
  return "recipe" in imageSource
    ? ensureImage(imageSource.recipe, progress, { signal })
    : ensureCloudImage(imageSource.download, progress, { signal, diskMiB });
}
