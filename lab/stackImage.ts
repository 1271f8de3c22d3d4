/** The image that a stack's configuration means, whichever way it comes. */
import { createHash } from "node:crypto";
import { customName } from "./config/customKernel.ts";
import type { StackConfig } from "./config/stack.ts";
import { sourceLabel } from "./image/cloud/source.ts";
import { ensureImage, type EnsureOptions, type Image } from "./image/image.ts";
import { ensureDerivedImage } from "./kernel/derivedImage.ts";
import type { Progress } from "./report/progress.ts";

export interface WantedImage extends Pick<StackConfig, "imageSource"> {
  readonly customKernel?: StackConfig["customKernel"] | undefined;
  /** Of a download: the size of the disk that will lie over it. */
  readonly diskMiB?: number | undefined;
}

/** What stands for the image in messages; configurations with the same one want the same image. */
export function imageLabel({ imageSource, customKernel }: WantedImage): string {
  if ("download" in imageSource) return sourceLabel(imageSource.download);
  const { recipe } = imageSource;
  if (customKernel === undefined) return recipe;
  const sum = createHash("sha256").update(JSON.stringify(customKernel)).digest("hex");
  return `${customName(recipe, customKernel)}@${sum.slice(0, 8)}`;
}

/** The image, built or downloaded when it is not here. @throws LabError, see the three ways */
export async function ensureStackImage(
  { imageSource, customKernel, diskMiB }: WantedImage,
  progress: Progress,
  options: EnsureOptions,
): Promise<Image> {
  if ("download" in imageSource) {
    // It brings an HTTP client, which most stacks never need.
    const { ensureCloudImage } = await import("./image/cloud/cloudImage.ts");
    return ensureCloudImage(imageSource.download, progress, { ...options, diskMiB });
  }
  return customKernel === undefined
    ? ensureImage(imageSource.recipe, progress, options)
    : ensureDerivedImage(imageSource.recipe, customKernel, progress, options);
}
