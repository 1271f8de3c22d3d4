/**
 * Which kernels an archive's suites have, with what belongs to each, and which of them a value of
 * `vexlab:kernel` means. Pure; lab/image/archiveIndex.ts gets the suites' lists.
 */
import { debianReleases, type DebianImage } from "../config/debianReleases.ts";
import { type KernelChoice, fits, seriesOf } from "../config/kernelChoice.ts";
import { compareVersions } from "./debianVersion.ts";
import type { PackageStanza } from "./packageStanzas.ts";

/** A kernel that can be had, by the names that Debian's packages of it have. */
export interface CatalogueKernel {
  readonly suite: string;
  readonly series: string;
  /** What `uname -r` says. */
  readonly release: string;
  /** Of the package. */
  readonly version: string;
  readonly image: string;
  readonly headers: string;
  /** The package of the compiler that it was built with, which the headers ask for. */
  readonly compiler: string;
  readonly debugSymbols?: string;
  /** Whether the suite's `linux-image-amd64` leads to it. */
  readonly current: boolean;
}

const imageName = /^linux-image-(\d+\.\d+[0-9a-z.+~-]*-amd64)$/;
const metapackage = "linux-image-amd64";

/**
 * The kernels of a suite's packages, the newest first. Without headers of the same version no module
 * can be built for a kernel: such a one is left out.
 */
export function kernelsIn(suite: string, stanzas: readonly PackageStanza[]): CatalogueKernel[] {
  const byName = new Map<string, PackageStanza[]>();
  for (const stanza of stanzas)
    byName.set(stanza.name, [...(byName.get(stanza.name) ?? []), stanza]);
  const newest = [...(byName.get(metapackage) ?? [])].sort(byVersion).at(-1);
  const current = new Set(newest?.depends.flat());

  const kernels = stanzas.flatMap((stanza): CatalogueKernel[] => {
    const release = imageName.exec(stanza.name)?.[1];
    if (release === undefined || /-(cloud|rt)-amd64$/.test(release)) return [];
    const sameVersion = (name: string): PackageStanza | undefined =>
      byName.get(name)?.find(({ version }) => version === stanza.version);
    const headers = sameVersion(`linux-headers-${release}`);
    const compiler = headers === undefined ? undefined : compilerOf(headers);
    if (headers === undefined || compiler === undefined) return [];
    const symbols = sameVersion(`linux-image-${release}-dbg`);
    return [
      {
        suite,
        series: seriesOf(release),
        release,
        version: stanza.version,
        image: stanza.name,
        headers: headers.name,
        compiler,
        ...(symbols === undefined ? {} : { debugSymbols: symbols.name }),
        current: current.has(stanza.name) && stanza.version === newest?.version,
      },
    ];
  });
  return kernels.sort(
    (a, b) => compareVersions(b.version, a.version) || (a.suite < b.suite ? -1 : 1),
  );
}

function byVersion(a: PackageStanza, b: PackageStanza): number {
  return compareVersions(a.version, b.version);
}

/** `gcc-12` of `gcc-12`, `gcc-14-for-host` or `linux-compiler-gcc-12-x86`. */
function compilerOf(headers: PackageStanza): string | undefined {
  for (const name of headers.depends.flat()) {
    const compiler = /^(?:linux-compiler-)?(gcc-\d+)(?:-for-host|-x86)?$/.exec(name)?.[1];
    if (compiler !== undefined) return compiler;
  }
  return undefined;
}

/** The newest kernel of an image that a choice asks for; undefined when there is none. */
export function chooseKernel(
  image: DebianImage,
  choice: KernelChoice,
  kernels: readonly CatalogueKernel[],
): CatalogueKernel | undefined {
  const { codename, suites } = debianReleases[image];
  // The image's own comes from the release and its updates, not from backports.
  const allowed = new Set<string>(
    choice.kind === "distro" ? suites.filter((suite) => !suite.endsWith("-backports")) : suites,
  );
  const fitting = kernels.filter(
    (kernel) =>
      allowed.has(kernel.suite) &&
      fits(choice, kernel.release) &&
      (choice.kind !== "distro" || kernel.current) &&
      (choice.kind !== "release" || (choice.version ?? kernel.version) === kernel.version),
  );
  const own = (kernel: CatalogueKernel): number => Number(kernel.suite === codename);
  return fitting.sort((a, b) => compareVersions(b.version, a.version) || own(b) - own(a))[0];
}

/** What an image can have, in words: its series, each with the newest release. */
export function offeredKernels(image: DebianImage, kernels: readonly CatalogueKernel[]): string {
  const suites = new Set<string>(debianReleases[image].suites);
  const newest = new Map<string, CatalogueKernel>();
  for (const kernel of kernels) {
    const before = newest.get(kernel.series);
    if (!suites.has(kernel.suite)) continue;
    if (before === undefined || compareVersions(kernel.version, before.version) > 0)
      newest.set(kernel.series, kernel);
  }
  return [...newest.values()]
    .sort((a, b) => compareVersions(a.version, b.version))
    .map(({ series, release }) => `${series} (${release})`)
    .join(", ");
}
