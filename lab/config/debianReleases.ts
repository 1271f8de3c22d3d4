/**
 * Debian's releases as images: what the archive calls them, and which of its suites a kernel of the
 * image may come from.
 */

export interface DebianRelease {
  /** The release's name, and that of its main suite. */
  readonly codename: string;
  /** All suites that hold kernels for it, as the archive names them. */
  readonly suites: readonly string[];
}

/** By the value of `vexlab:image`. */
export const debianReleases = {
  "debian-11": release("bullseye"),
  "debian-12": release("bookworm"),
  "debian-13": release("trixie"),
  // Updates, security updates and newer kernels all go straight into it.
  "debian-sid": { codename: "sid", suites: ["sid"] },
} as const satisfies Record<string, DebianRelease>;

export type DebianImage = keyof typeof debianReleases;

function release(codename: string): DebianRelease {
  const beside = ["updates", "security", "backports"].map((suite) => `${codename}-${suite}`);
  return { codename, suites: [codename, ...beside] };
}

export function isDebianImage(image: string): image is DebianImage {
  return Object.hasOwn(debianReleases, image);
}

/** Whether a suite is in the security archive, which has an address of its own. */
export function isSecuritySuite(suite: string): boolean {
  return suite.endsWith("-security");
}
