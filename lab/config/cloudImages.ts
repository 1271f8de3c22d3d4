/**
 * Images that are downloaded and boot by their own boot loader: those of distributions by name, any
 * other by its address; and what each is checked by. A configuration is
 * checked at preview, without the network.
 *
 * Sources: https://cloud-images.ubuntu.com/releases/, https://cloud.debian.org/images/cloud/.
 */
import type { Fault } from "./errors.ts";
import { digestForm, digestText, parseDigest, type Digest } from "./digest.ts";

interface CloudImageEntry {
  /** The distribution's own place, ending in a slash. */
  readonly base: string;
  /** Below it or below a mirror: the newest build, and a build by its number. */
  readonly latest: string;
  readonly build: (version: string) => string;
  /** What a build's number looks like. */
  readonly version: RegExp;
  readonly versionForm: string;
  /** The keys (lab/image/keys) that sign SHA256SUMS beside the image; undefined: none is signed. */
  readonly keyring?: string;
}

const ubuntu = (number: string, name: string): CloudImageEntry => {
  const file = `ubuntu-${number}-server-cloudimg-amd64.img`;
  return {
    base: "https://cloud-images.ubuntu.com/",
    latest: `releases/${name}/release/${file}`,
    build: (version) => `releases/${name}/release-${version}/${file}`,
    version: /^\d{8}(\.\d+)?$/,
    versionForm: "a number such as 20240207",
    keyring: "ubuntu-cloudimage-keyring.gpg",
  };
};

// The flavour `generic`: the kernel of `genericcloud` has no 9p.
const debian = (number: string, name: string): CloudImageEntry => ({
  base: "https://cloud.debian.org/",
  latest: `images/cloud/${name}/latest/debian-${number}-generic-amd64.qcow2`,
  build: (version) =>
    `images/cloud/${name}/${version}/debian-${number}-generic-amd64-${version}.qcow2`,
  version: /^\d{8}-\d+$/,
  versionForm: "a number such as 20240211-1654",
});

/** By the value of `vexlab:image`. */
export const cloudImageEntries: Readonly<Record<string, CloudImageEntry>> = {
  "ubuntu-22.04": ubuntu("22.04", "jammy"),
  "ubuntu-24.04": ubuntu("24.04", "noble"),
  "debian-12-generic": debian("12", "bookworm"),
  "debian-13-generic": debian("13", "trixie"),
};

export const cloudImageNames: readonly string[] = Object.keys(cloudImageEntries);

/**
 * Digests of builds that signed sums don't cover, each reviewed by a person who compared it in more than
 * one way: `NAME VERSION`, such as `debian-13-generic 20251006-2257`. A line is added together with a
 * word on how it was checked.
 */
export const reviewedDigests: Readonly<Record<string, string>> = {};

/** What an image is checked by before anything of it is used. */
export type CloudImageCheck =
  | { readonly by: "digest"; readonly digest: string }
  /** SHA256SUMS and SHA256SUMS.gpg beside the image. */
  | {
      readonly by: "signature";
      /** A file of vexlab's (`shipped`) or of the user's (`file`, an absolute path). */
      readonly keyring: { readonly shipped: string } | { readonly file: string };
    }
  | { readonly by: "nothing" };

/** Where an image comes from. Depends on the configuration only. */
export interface CloudImageSource {
  /** A name of ours, or undefined for an address. */
  readonly name?: string | undefined;
  /** https or file, in the order in which they are tried. */
  readonly urls: readonly string[];
  /** The path below a mirror's address (VEXLAB_IMAGE_MIRROR). */
  readonly mirrored?: string | undefined;
  readonly check: CloudImageCheck;
}

export interface CloudImageKeys {
  readonly image: string;
  readonly kernel?: string | undefined;
  readonly imageVersion?: string | undefined;
  readonly imageDigest?: string | undefined;
  /** An absolute path. */
  readonly imageKeyring?: string | undefined;
  readonly allowUnverified?: boolean | undefined;
}

/** Whether a value of `vexlab:image` is an image of this file, by name or address. */
export function isCloudImage(image: string): boolean {
  return Object.hasOwn(cloudImageEntries, image) || /^\s*[a-z][a-z0-9+.-]*:/i.test(image);
}

/** What `vexlab:image` may be beside the names. */
export const addressForm = "one or more https: addresses or a file: address of a disk image";

/** The image that a configuration means, or everything that is wrong with it. */
export function cloudImageOf(keys: CloudImageKeys): CloudImageSource | readonly Fault[] {
  const faults: Fault[] = [];
  const entry = cloudImageEntries[keys.image];
  const place =
    entry === undefined
      ? { urls: addresses(keys.image, faults) }
      : named(keys.image, entry, keys.imageVersion, faults);
  if (entry === undefined && keys.imageVersion !== undefined)
    faults.push({
      key: "vexlab:imageVersion",
      value: keys.imageVersion,
      problem: "an address has no versions",
      allowed: "leave it out",
    });
  if (keys.kernel !== undefined)
    faults.push({
      key: "vexlab:kernel",
      value: keys.kernel,
      problem: "the image's own boot loader decides the kernel",
      allowed: "leave it out, or an image that vexlab builds",
    });
  const check = checkOf(keys, entry, place.urls, faults);
  if (faults.length > 0 || check === undefined) return faults;
  return { ...place, check };
}

function named(
  name: string,
  entry: CloudImageEntry,
  version: string | undefined,
  faults: Fault[],
): Omit<CloudImageSource, "check"> {
  if (version !== undefined && !entry.version.test(version))
    faults.push({
      key: "vexlab:imageVersion",
      value: version,
      problem: `is not a build of ${name}`,
      allowed: entry.versionForm,
    });
  const path = version === undefined ? entry.latest : entry.build(version);
  return { name, urls: [entry.base + path], mirrored: path };
}

function addresses(text: string, faults: Fault[]): string[] {
  const urls = text.split(/\s+/).filter((word) => word !== "");
  const fault = (value: string, problem: string): void =>
    void faults.push({ key: "vexlab:image", value, problem, allowed: addressForm });
  for (const word of urls) {
    const url = URL.canParse(word) ? new URL(word) : undefined;
    if (url === undefined) fault(word, "is no address");
    else if (url.protocol !== "https:" && url.protocol !== "file:")
      fault(word, "is neither https nor file");
    else if (url.username !== "" || url.password !== "")
      fault(url.host, "has a password in it, which would be kept in Pulumi's state");
    else if (url.protocol === "file:" && url.host !== "") fault(word, "is a file of another host");
  }
  if (urls.length > 1 && urls.some((url) => url.startsWith("file:")))
    fault(text, "a file has no mirrors");
  return urls;
}

function checkOf(
  { image, imageVersion, imageDigest, imageKeyring, allowUnverified }: CloudImageKeys,
  entry: CloudImageEntry | undefined,
  urls: readonly string[],
  faults: Fault[],
): CloudImageCheck | undefined {
  if (imageDigest !== undefined) {
    const digest = parseDigest(imageDigest);
    if (digest !== undefined) return byDigest(digest);
    faults.push({
      key: "vexlab:imageDigest",
      value: imageDigest,
      problem: "is no digest",
      allowed: digestForm,
    });
    return undefined;
  }
  if (imageKeyring !== undefined) {
    if (urls.every((url) => url.startsWith("https:")))
      return { by: "signature", keyring: { file: imageKeyring } };
    faults.push({
      key: "vexlab:imageKeyring",
      value: imageKeyring,
      problem: "signed sums are looked for beside an https address",
      allowed: "vexlab:imageDigest for a file",
    });
    return undefined;
  }
  const reviewed = parseDigest(reviewedDigests[`${image} ${imageVersion ?? ""}`] ?? "");
  if (reviewed !== undefined) return byDigest(reviewed);
  if (entry?.keyring !== undefined) return { by: "signature", keyring: { shipped: entry.keyring } };
  if (allowUnverified === true) return { by: "nothing" };
  const why =
    entry === undefined
      ? "an image of your own needs a digest to be checked by"
      : `no signed sums are published for ${image}, and this version of vexlab has no reviewed digest of it`;
  faults.push({
    key: "vexlab:imageDigest",
    problem: why,
    allowed: `${digestForm}; or vexlab:imageKeyring; or vexlab:allowUnverified true, which boots whatever comes`,
  });
  return undefined;
}

const byDigest = (digest: Digest): CloudImageCheck => ({
  by: "digest",
  digest: digestText(digest),
});

/** In words, for warnings, results and the preview. */
export function checkText(check: CloudImageCheck): string {
  if (check.by === "digest") return check.digest;
  if (check.by === "nothing") return "NOT VERIFIED (vexlab:allowUnverified)";
  const { keyring } = check;
  return `SHA256SUMS signed by ${"shipped" in keyring ? keyring.shipped : keyring.file}`;
}
