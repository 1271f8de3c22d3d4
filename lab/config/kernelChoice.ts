/** What a value of `vexlab:kernel` means. Pure. */

export type KernelChoice =
  /** The image's own, whatever it is. */
  | { readonly kind: "distro" }
  /** The newest of a series, such as 6.12. */
  | { readonly kind: "series"; readonly series: string }
  /** The newest of all series that begin with a number: `7.x`. */
  | { readonly kind: "major"; readonly major: number }
  /** One kernel, as `uname -r` says it, and the version of its package when that is fixed too. */
  | { readonly kind: "release"; readonly release: string; readonly version?: string };

/** For messages and docs: what a value may look like. */
export const kernelForms =
  "distro, a series (6.12), the newest of several (7.x), or a release as uname -r says it (6.12.95+deb12-amd64)";

// Debian's: ABI name, then the flavour. The flavours `cloud` and `rt` are other builds: the first has
// no 9p.
const releaseForm = /^\d+\.\d+[0-9a-z.+~-]*-amd64$/;
// deb-version(7), as far as kernels use it.
const versionForm = /^[0-9][0-9A-Za-z.+~:-]*$/;

/** The choice that a text means, RELEASE=VERSION included; undefined when it has none of the forms. */
export function parseKernelChoice(text: string): KernelChoice | undefined {
  if (text === "distro") return { kind: "distro" };
  if (/^\d+\.\d+$/.test(text)) return { kind: "series", series: text };
  const major = /^(\d+)\.x$/.exec(text)?.[1];
  if (major !== undefined) return { kind: "major", major: Number(major) };
  const [release = "", version, ...more] = text.split("=");
  if (more.length > 0 || !releaseForm.test(release) || /-(cloud|rt)-amd64$/.test(release))
    return undefined;
  if (version === undefined) return { kind: "release", release };
  return versionForm.test(version) ? { kind: "release", release, version } : undefined;
}

/** The series of a release: `6.12` of `6.12.95+deb12-amd64`; empty when it has none. */
export function seriesOf(release: string): string {
  return /^\d+\.\d+/.exec(release)?.[0] ?? "";
}

/** Whether a kernel of this release is what a choice asks for. */
export function fits(choice: KernelChoice, release: string): boolean {
  switch (choice.kind) {
    case "distro":
      return true;
    case "series":
      return seriesOf(release) === choice.series;
    case "major":
      return release.startsWith(`${choice.major}.`);
    case "release":
      return release === choice.release;
  }
}
