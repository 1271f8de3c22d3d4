/**
 * Images that are downloaded: fetched, checked, made to what root volumes can lie over, and kept in the
 * cache beside those that are built. Nothing is used before it was checked; what can't be checked is
 * taken only when the configuration says so.
 *
 *     downloads/<name>/<digest>            what has come, or with .partial what has come so far
 *     images/<name>-<sum>/root.qcow2       the image
 */
import { chmod, constants, copyFile, mkdir, mkdtemp, rename, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { checkText, type CloudImageSource } from "../../config/cloudImages.ts";
import { digestText, digestInList, parseDigest, type Digest } from "../../config/digest.ts";
import { ExitCode, LabError } from "../../config/errors.ts";
import { formatSize } from "../../config/quantity.ts";
import type { Progress } from "../../report/progress.ts";
import { keepImage } from "../build.ts";
import {
  buildingPrefix,
  downloadsFolder,
  fileNames,
  imagesFolder,
  type Manifest,
} from "../cache.ts";
import { hashFile } from "../checksum.ts";
import { digestOf } from "../download/digest.ts";
import {
  download,
  usualDeadlines,
  withoutSecret,
  type DownloadContext,
} from "../download/download.ts";
import { ensureMade, type EnsureOptions, type Image, type Maker } from "../image.ts";
import { inspectDisk, type DiskFile } from "./diskFile.ts";
import { keyringFile, signedText } from "./signature.ts";
import { sourceHash, sourceName } from "./source.ts";

export interface CloudImageOptions extends EnsureOptions {
  /** The size of the stack's disk, which must not be smaller than the image's. */
  readonly diskMiB?: number | undefined;
  /** Replaced in tests. */
  readonly context?: Omit<DownloadContext, "progress" | "signal">;
}

const mebibyte = 2 ** 20;
const maxImageBytes = 32 * 2 ** 30;
const maxListBytes = mebibyte;
const convertMs = 30 * 60_000;
const mirrorVariable = "VEXLAB_IMAGE_MIRROR";

/**
 * The image of a source: checked and returned when it is here, else downloaded, or waited for when
 * another process does.
 * @throws LabError when it can't be downloaded, isn't what it should be or is no disk image (exit 3);
 * hung; cancelled
 */
export async function ensureCloudImage(
  source: CloudImageSource,
  progress: Progress,
  options: CloudImageOptions = {},
): Promise<Image> {
  const name = sourceName(source);
  const hash = await sourceHash(source);
  const prepare = (): Promise<Maker> =>
    Promise.resolve(() => fetchImage(source, name, hash, progress, options));
  const { totalSeconds: deadlineSeconds } = usualDeadlines;
  const making = { name, hash, prepare, verb: "downloads", deadlineSeconds };
  return fitting(await ensureMade(making, progress, options), options.diskMiB);
}

/** @throws LabError when the image's disk is larger than that of the stack */
async function fitting(image: Image, diskMiB: number | undefined): Promise<Image> {
  if (diskMiB === undefined) return image;
  const { virtualBytes } = await inspectDisk(image.rootDisk, `image ${image.id}`);
  if (virtualBytes <= diskMiB * mebibyte) return image;
  const size = formatSize(Math.ceil(virtualBytes / mebibyte));
  throw new LabError(
    `the disk of image ${image.id} has ${size}, and vexlab:diskSize is ${formatSize(diskMiB)}`,
    ExitCode.usage,
    `Set vexlab:diskSize to ${size} or more.`,
  );
}

async function fetchImage(
  source: CloudImageSource,
  name: string,
  hash: string,
  progress: Progress,
  options: CloudImageOptions,
): Promise<Manifest> {
  const { cache, signal } = options;
  const context = { ...options.context, progress, signal };
  const images = imagesFolder(cache);
  const downloads = join(downloadsFolder(cache), name);
  await mkdir(downloads, { recursive: true });
  const work = await mkdtemp(join(images, buildingPrefix(name)));
  try {
    await chmod(work, 0o755);
    progress.line(`checked by: ${checkText(source.check)}`);
    const urls = withMirrors(source, context.environment ?? process.env);
    const digest = await expected(source, urls, work, context);
    const file = join(downloads, digest === undefined ? "unverified" : digest.hex);
    const from = await fetchFile({ urls, digest, file, what: `image ${name}` }, context);
    const disk = await inspectDisk(file, from);
    const rootDisk = join(work, fileNames.rootDisk);
    await asQcow2(file, rootDisk, disk, signal);
    // A guest that wrote into a shared image would break every other one.
    await chmod(rootDisk, 0o444);
    const sha256 = await hashFile(rootDisk);
    const { size } = await stat(rootDisk);
    const manifest: Manifest = {
      id: `${name}-${sha256.slice(0, 12)}`,
      recipe: name,
      recipeHash: hash,
      created: new Date().toISOString(),
      packages: {},
      files: { [fileNames.rootDisk]: { sha256, bytes: size } },
      source: { url: withoutSecret(from), ...(digest && { digest: digestText(digest) }) },
    };
    await keepImage(manifest, work, cache);
    await rm(downloads, { recursive: true, force: true });
    return manifest;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * The addresses of an image, those of mirrors first.
 * @throws LabError when VEXLAB_IMAGE_MIRROR holds something else than https addresses
 */
export function withMirrors(
  { urls, mirrored }: CloudImageSource,
  environment: NodeJS.ProcessEnv,
): string[] {
  if (mirrored === undefined) return [...urls];
  const mirrors = (environment[mirrorVariable] ?? "").split(/\s+/).filter((word) => word !== "");
  const wrong = mirrors.find((word) => !URL.canParse(word) || !word.startsWith("https://"));
  if (wrong !== undefined)
    throw new LabError(
      `${mirrorVariable} has ${wrong}: not an https address`,
      ExitCode.usage,
      `Set ${mirrorVariable} to https addresses with blanks between them, or unset it.`,
    );
  return [...mirrors.map((mirror) => `${mirror.replace(/\/*$/, "/")}${mirrored}`), ...urls];
}

/** The digest that the image must have; undefined when nothing is known and nothing need be. */
async function expected(
  source: CloudImageSource,
  urls: readonly string[],
  work: string,
  context: DownloadContext,
): Promise<Digest | undefined> {
  const { check } = source;
  if (check.by === "nothing") return undefined;
  if (check.by === "digest") {
    const digest = parseDigest(check.digest);
    if (digest === undefined) throw new Error(`no digest: ${check.digest}`);
    return digest;
  }
  const list = join(work, "SHA256SUMS");
  const signature = `${list}.gpg`;
  for (const file of [list, signature])
    await download(
      {
        what: `${basename(file)} of image ${sourceName(source)}`,
        urls: urls.map((url) => new URL(basename(file), url).href),
        file,
        maxBytes: maxListBytes,
      },
      context,
    );
  const text = await signedText(list, signature, keyringFile(check.keyring));
  const image = basename(new URL(urls[0] ?? "").pathname);
  const digest = digestInList(text, decodeURIComponent(image));
  for (const file of [list, signature]) await rm(file, { force: true });
  if (digest !== undefined) return digest;
  throw new LabError(
    `the signed SHA256SUMS has no sum of ${image}`,
    ExitCode.infrastructureFailed,
    "Is the address that of an image beside the list?",
  );
}

interface Fetched {
  readonly urls: readonly string[];
  readonly digest: Digest | undefined;
  readonly file: string;
  readonly what: string;
}

/** @returns where it came from */
async function fetchFile(fetched: Fetched, context: DownloadContext): Promise<string> {
  const { urls, digest, file, what } = fetched;
  const local = urls.find((url) => url.startsWith("file:"));
  if (local === undefined) {
    // Of an earlier process, which then was killed.
    const isHere = digest !== undefined && (await hasDigest(file, digest));
    if (isHere) return urls[0] ?? "";
    return download({ what, urls, file, digest, maxBytes: maxImageBytes }, context);
  }
  const from = fileURLToPath(local);
  try {
    // A copy: what is checked can't be changed afterwards.
    await copyFile(from, file, constants.COPYFILE_FICLONE);
  } catch (error) {
    throw new LabError(
      `${what} can't be read from ${from}: ${(error as Error).message}`,
      ExitCode.infrastructureFailed,
      "Look at vexlab:image.",
      { cause: error },
    );
  }
  if (digest === undefined || (await hasDigest(file, digest))) return local;
  const { hex } = await digestOf(file, digest.algorithm);
  await rm(file, { force: true });
  throw new LabError(
    `${from} is not what it should be: ${digest.algorithm}:${hex} instead of ${digestText(digest)}`,
    ExitCode.infrastructureFailed,
    "If the file is right, correct vexlab:imageDigest.",
  );
}

async function hasDigest(file: string, digest: Digest): Promise<boolean> {
  const found = await digestOf(file, digest.algorithm).catch(() => undefined);
  return found?.hex === digest.hex;
}

async function asQcow2(
  file: string,
  rootDisk: string,
  { format }: DiskFile,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (format === "qcow2") {
    await rename(file, rootDisk);
    return;
  }
  const argv = ["convert", "-f", "raw", "-O", "qcow2", "-o", "lazy_refcounts=on", file, rootDisk];
  try {
    await execa("qemu-img", argv, {
      stdin: "ignore",
      timeout: convertMs,
      ...(signal && { cancelSignal: signal }),
    });
  } catch (error) {
    if (signal?.aborted)
      throw new LabError("cancelled", ExitCode.cancelled, undefined, { cause: error });
    throw new LabError(
      `the image can't be converted: ${(error as Error).message}`,
      ExitCode.infrastructureFailed,
      undefined,
      { cause: error },
    );
  }
}
