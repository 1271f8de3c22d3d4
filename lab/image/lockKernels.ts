/** What the lock file of kernels would be today: the kernels that the stacks beside it mean. Pure. */
import { isDebianImage } from "../config/debianReleases.ts";
import { ConfigurationError, type Fault } from "../config/errors.ts";
import type { KernelLock, LockedKernel } from "../config/kernelLock.ts";
import { recipeFor } from "../config/recipes.ts";
import type { StackFile } from "../config/stackFiles.ts";
import { type CatalogueKernel, offeredKernels } from "./kernelCatalogue.ts";
import { kernelMeant } from "./kernelList.ts";

const defaultImage = "debian-12";

/** The images and kernels that stacks name, each pair once. Images that are not Debian's lock nothing. */
export function wantedKernels(
  stacks: readonly StackFile[],
): { stack: string; image: string; kernel: string }[] {
  const pairs = stacks.map(({ stack, raw }) => {
    const of = (key: string): string | undefined => raw[`vexlab:${key}`] ?? raw[key];
    return { stack, image: of("image") ?? defaultImage, kernel: of("kernel") ?? "distro" };
  });
  return pairs.filter(
    ({ image, kernel }, at) =>
      pairs.findIndex((other) => other.image === image && other.kernel === kernel) === at,
  );
}

/**
 * The lock for these stacks.
 *
 * @throws ConfigurationError with every stack whose image or kernel there is not
 */
export function lockFor(
  stacks: readonly StackFile[],
  kernels: readonly CatalogueKernel[],
): KernelLock {
  const faults: Fault[] = [];
  const lock: Record<string, Record<string, LockedKernel>> = {};
  for (const { stack, image, kernel } of wantedKernels(stacks)) {
    const recipe = recipeFor(image, kernel);
    if (typeof recipe !== "string") {
      faults.push({ ...recipe, key: `stack ${stack}: ${recipe.key}` });
      continue;
    }
    if (!isDebianImage(image)) continue;
    const meant = kernelMeant(image, kernel, kernels);
    if (meant === undefined) {
      faults.push({
        key: `stack ${stack}: vexlab:kernel`,
        value: kernel,
        problem: `the archive has no such kernel for ${image} now`,
        allowed: offeredKernels(image, kernels) || "none that is known",
      });
      continue;
    }
    const { release, version, suite, compiler } = meant;
    lock[image] = { ...lock[image], [kernel]: { release, version, suite, compiler } };
  }
  if (faults.length > 0) throw new ConfigurationError("kernels lock", faults);
  return lock;
}

/** What differs between two locks, a line for each kernel; empty when nothing does. */
export function lockChanges(before: KernelLock, after: KernelLock): string[] {
  const flat = (lock: KernelLock): Map<string, string> =>
    new Map(
      Object.entries(lock).flatMap(([image, kernels]) =>
        Object.entries(kernels).map(([kernel, { release, version, suite, compiler }]) => [
          `${image} ${kernel}`,
          `${release} (${version}, ${suite}, ${compiler})`,
        ]),
      ),
    );
  const [old, now] = [flat(before), flat(after)];
  return [...new Set([...old.keys(), ...now.keys()])].sort().flatMap((key) => {
    const [was, is] = [old.get(key), now.get(key)];
    if (was === is) return [];
    if (was === undefined) return [`${key}: ${is ?? ""}, new`];
    return [is === undefined ? `${key}: no stack uses it` : `${key}: ${was} → ${is}`];
  });
}
