/** The image that a stack's configuration means, whichever way it comes. */
import type { StackConfig } from "../config/stack.ts";
import type { Progress } from "../report/progress.ts";
import { ensureCloudImage } from "./cloud/cloudImage.ts";
import { sourceLabel } from "./cloud/source.ts";
import { ensureImage, type EnsureOptions, type Image } from "./image.ts";

type Wanted = Pick<StackConfig, "imageSource" | "diskMiB">;

/** What stands for the image in messages; configurations with the same one want the same image. */
export function imageLabel({ imageSource }: Pick<Wanted, "imageSource">): string {
  return "recipe" in imageSource ? imageSource.recipe : sourceLabel(imageSource.download);
}

/** The image, built or downloaded when it is not here. @throws LabError, see the two ways */
export async function ensureStackImage(
  { imageSource, diskMiB }: Wanted,
  progress: Progress,
  options: EnsureOptions,
): Promise<Image> {
  return "recipe" in imageSource
    ? ensureImage(imageSource.recipe, progress, options)
    : ensureCloudImage(imageSource.download, progress, { ...options, diskMiB });
}
