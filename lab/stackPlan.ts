/**
 * Everything that a stack's program has to know before it declares a resource: the checked
 * configuration, what this host offers, and what the sources are now. Wrong configuration ends a
 * preview here, with every mistake at once.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { hashSources } from "./build/sources.ts";
import { checkText, type CloudImageSource } from "./config/cloudImages.ts";
import type { CustomKernel } from "./config/customKernel.ts";
import { ConfigurationError } from "./config/errors.ts";
import { controlSocket, domainNameOf, type Places, places, stackFolder } from "./config/places.ts";
import type { RecipeName } from "./config/recipes.ts";
import { thisHost } from "./config/thisHost.ts";
import { parseStackConfig, type StackConfig } from "./config/stack.ts";
import { type GuestFile, readGuestFiles, readKernelScript } from "./guest/guestFiles.ts";
import { readUserData } from "./guest/userData.ts";
import { type Accelerator, chooseAccelerator } from "./hypervisor/accelerator.ts";
import { usesPrivateDaemon } from "./hypervisor/connection.ts";
import { startDaemon } from "./hypervisor/daemon.ts";
import { portFault } from "./hypervisor/portHolder.ts";
import { sourceHash } from "./image/cloud/source.ts";
import { kernelProblem } from "./image/kernelOffer.ts";
import { hashRecipe, recipe } from "./image/recipe.ts";
import { terminalProgress } from "./report/progress.ts";
import { everything, selectedSuites } from "./run/selection.ts";
import { hashDerived } from "./kernel/derivedImage.ts";

export interface StackPlan {
  readonly stack: string;
  readonly config: StackConfig;
  readonly image: ImagePlan;
  readonly accelerator: Accelerator;
  /** The domain's name in libvirt, and its pool's. */
  readonly domainName: string;
  /** Of the stack on the host; everything in it goes with the stack. */
  readonly folder: string;
  readonly consoleFile: string;
  /** Undefined where QEMU runs as another user, who would own the socket. */
  readonly controlSocket?: string;
  /** Whom vexlab logs in as. */
  readonly user: string;
  readonly guestFiles: readonly GuestFile[];
  /** For a guest whose image was downloaded. */
  readonly kernelScript?: GuestFile;
  /** For the guest to get ready, when that takes longer than usual. */
  readonly bootSeconds?: number;
  /** The text of the user's own cloud-config. */
  readonly userData?: string;
  /** Hash of the module's sources and manifest. */
  readonly sourceHash: string;
  /** The names of the suites that run, if not all. */
  readonly suites?: readonly string[];
  /** The last failed run's id; empty when none failed. */
  readonly lastFailure: string;
}

/** The image of a stack, and the hash of what decides it: another one is another image. */
export type ImagePlan =
  | {
      readonly recipe: RecipeName;
      /** A kernel that takes the place of the recipe's. */
      readonly customKernel?: CustomKernel;
      readonly hash: string;
    }
  | {
      readonly download: CloudImageSource;
      readonly hash: string;
      /** What it is checked by, in words. */
      readonly checked: string;
      readonly diskMiB: number;
    };

// An emulated guest takes many minutes to install a compiler.
const installingBootSeconds = 2400;

/**
 * The plan of a stack.
 * Throws ConfigurationError with every mistake; LabError when the host lacks what is asked for.
 */
export async function planStack(
  stack: string,
  raw: Readonly<Record<string, string>>,
  where: Places = places(),
): Promise<StackPlan> {
  const config = await readConfig(`stack ${stack}`, raw, where);
  const domainName = domainNameOf(stack);
  const folder = stackFolder(stack, where);
  const reading = Promise.all([
    imagePlan(config),
    readGuestFiles(),
    "download" in config.imageSource ? readKernelScript() : undefined,
    config.userData === undefined ? undefined : readUserData(config.userData, where.checkout),
    hashSources(config.source, config.manifest),
    readFile(join(folder, "last-failure"), "utf8").catch(() => ""),
  ]);
  // Awaited below.
  reading.catch(() => undefined);
  await checkPorts(stack, config, domainName, where);
  // The provider dials the daemon at preview already.
  if (usesPrivateDaemon(config.libvirtUri)) await startDaemon();
  const { accelerator } = await chooseAccelerator(config.accelerator, where.cache);
  const [image, guestFiles, kernelScript, userData, sources, lastFailure] = await reading;
  return {
    ...{ stack, config, image, accelerator, domainName, folder },
    consoleFile: join(folder, "console.log"),
    ...(usesPrivateDaemon(config.libvirtUri)
      ? { controlSocket: controlSocket(domainName, where) }
      : {}),
    user: "vexfs",
    guestFiles,
    ...(kernelScript && { kernelScript, bootSeconds: installingBootSeconds }),
    ...(userData !== undefined && { userData }),
    sourceHash: sources,
    ...(config.suites && { suites: wantedSuites(config) }),
    lastFailure,
  };
}

/**
 * A configuration, checked also against what the archive has.
 * @param title whose it is, for messages
 * @throws ConfigurationError with every mistake
 */
export function readConfig(
  title: string,
  raw: Readonly<Record<string, string>>,
  where: Places,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<StackConfig> {
  return parseStackConfig(raw, environment, thisHost(where.checkout), title, {
    kernelProblem: (name) =>
      kernelProblem(name, {
        progress: terminalProgress(),
        cache: where.cache,
        deadlineSeconds: 60,
      }),
  });
}

/**
 * The names of the suites that a configuration wants, in the manifest's order.
 * @throws ConfigurationError for every pattern that matches none
 */
export function wantedSuites({ manifest, suites = [] }: StackConfig): string[] {
  try {
    return selectedSuites(manifest, { ...everything, suites }).map(({ name }) => name);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    const faults = error.faults.map((fault) => ({ ...fault, key: "vexlab:suites" }));
    throw new ConfigurationError(error.where, faults);
  }
}

async function imagePlan({ imageSource, customKernel, diskMiB }: StackConfig): Promise<ImagePlan> {
  if ("recipe" in imageSource && customKernel !== undefined)
    return {
      ...{ ...imageSource, customKernel },
      hash: await hashDerived(imageSource.recipe, customKernel),
    };
  if ("recipe" in imageSource)
    return { ...imageSource, hash: await hashRecipe(recipe(imageSource.recipe)) };
  const { download } = imageSource;
  const hash = await sourceHash(download);
  return { download, hash, checked: checkText(download.check), diskMiB };
}

async function checkPorts(
  stack: string,
  config: StackConfig,
  domain: string,
  where: Places,
): Promise<void> {
  const owner = stackFolder(stack, where);
  const ports = [
    { key: "vexlab:sshPort", port: config.sshPort },
    ...(config.gdbPort === undefined ? [] : [{ key: "vexlab:gdbPort", port: config.gdbPort }]),
  ];
  const found = await Promise.all(
    ports.map(({ key, port }) => portFault(key, port, domain, owner)),
  );
  const faults = found.filter((fault) => fault !== undefined);
  if (faults.length > 0) throw new ConfigurationError(`stack ${stack}`, faults);
}
