/**
 * A stack's configuration, read and checked as a whole: every mistake is reported at preview, at
 * once, before anything is made.
 */
import { access, constants, stat } from "node:fs/promises";
import { resolve } from "node:path";
import type * as z from "zod";
import { allowedAt } from "./allowed.ts";
import { cloudImageOf, isCloudImage, type CloudImageSource } from "./cloudImages.ts";
import { customConfig, type CustomKernel } from "./customKernel.ts";
import { ConfigurationError, type Fault } from "./errors.ts";
import { faultsOf } from "./faults.ts";
import { kernelTreeFaults } from "./kernelTree.ts";
import { readManifest, type Manifest } from "./manifest.ts";
import { formatSize } from "./quantity.ts";
import { lockedRecipe, lockFile, readLock } from "./kernelLock.ts";
import { recipeFor, type RecipeName } from "./recipes.ts";
import { places } from "./places.ts";
import {
  folderFault,
  ownFolderIn,
  readableBy,
  systemQemuUser,
  type HostUser,
} from "./sourceFolder.ts";
import {
  stackDefaults,
  stackKeys,
  stackSchema,
  stackVariables,
  type Host,
  type StackKey,
} from "./stackSchema.ts";

export type { Host } from "./stackSchema.ts";

type Values = z.output<typeof stackSchema>;

/** What a configuration is checked against beside the host; other answers in tests. */
export interface StackChecks {
  /** Whom `qemu:///system` runs QEMU as; asked of the host by default. */
  readonly qemuUser?: () => Promise<HostUser | undefined>;
  /** What is wrong with a recipe's kernel as the archive is now; not asked by default. */
  readonly kernelProblem?: (
    recipe: RecipeName,
  ) => Promise<{ readonly problem: string; readonly allowed: string } | undefined>;
}

/** A checked configuration with its defaults. */
export interface StackConfig extends Readonly<
  Omit<
    Values,
    | ("memory" | "diskSize" | "testDiskSize" | "kernel" | "kernelParameters" | "gdbPort")
    | ("userData" | "suites")
  >
> {
  /** What `image` and `kernel` mean together: what is built, or what is downloaded. */
  readonly imageSource: { readonly recipe: RecipeName } | { readonly download: CloudImageSource };
  readonly kernel?: string;
  /** What `kernelConfig` or `kernelTree` come to: the kernel that takes the place of the recipe's. */
  readonly customKernel?: CustomKernel;
  /** Words added to the kernel's command line. */
  readonly kernelParameters: readonly string[];
  readonly memoryMiB: number;
  readonly diskMiB: number;
  readonly testDiskMiB: number;
  /** Absolute. */
  readonly source: string;
  /** The source folder's. */
  readonly manifest: Manifest;
  readonly gdbPort?: number;
  /** An absolute path or the text of a cloud-config. */
  readonly userData: string | undefined;
  /** Patterns of the suites that `up` runs; all when undefined. */
  readonly suites?: readonly string[];
}

const namespace = "vexlab:";

/**
 * The configuration of a stack.
 *
 * @param raw as from `pulumi.runtime.allConfig()`. Keys may lack the namespace `vexlab:`; keys of
 * other namespaces are not looked at.
 * @param environment for VEXFS_VM_MEMORY, VEXFS_VM_CPUS and VEXFS_VM_SSH_PORT, which override.
 * @param where the stack, for messages.
 * @throws ConfigurationError with every fault: of the keys, of the source folder, of its manifest.
 */
export async function parseStackConfig(
  raw: Readonly<Record<string, string>>,
  environment: NodeJS.ProcessEnv,
  host: Host,
  where = "stack configuration",
  { qemuUser = systemQemuUser, kernelProblem }: StackChecks = {},
): Promise<StackConfig> {
  const given = withoutNamespace(raw);
  const overridden: Partial<Record<StackKey, string>> = {};
  for (const key of stackKeys) {
    const value = environment[stackVariables[key] ?? ""];
    if (value) overridden[key] = value;
  }
  const named = (key: string): string =>
    (Object.hasOwn(overridden, key) ? stackVariables[key as StackKey] : undefined) ??
    `${namespace}${key}`;
  const document = { ...stackDefaults(host, given), ...given, ...overridden };
  const parsed = stackSchema.safeParse(document);
  const faults = (
    parsed.success
      ? []
      : faultsOf(parsed.error.issues, document, (path) => allowedAt(stackSchema, path))
  ).map((fault): Fault => ({ ...fault, key: named(fault.key) }));

  // What is wrong with one key must not hide what is wrong with the others: the checks that need
  // more than the key's own text run for each key that is itself right.
  const values: Partial<Values> = parsed.success ? parsed.data : rightValues(document);
  const text = document as Partial<Record<StackKey, string>>;
  const fault = (key: StackKey, problem: string, allowed: string): void => {
    faults.push({ key: named(key), value: text[key] ?? "", problem, allowed });
  };

  const imageSource = await imageSourceOf(values, host.checkout, faults);
  if (imageSource !== undefined && "download" in imageSource) {
    const { name = "this image" } = imageSource.download;
    if (values.buildOn === "host")
      fault("buildOn", `${name} has no root file system on the host to build in`, "guest");
    if (values.kernelParameters !== undefined && values.kernelParameters.length > 0)
      fault("kernelParameters", `${name} has its own boot loader`, "leave it out");
    for (const key of ["kernelConfig", "kernelTree"] as const)
      if (values[key] !== undefined)
        fault(key, `${name} boots the kernel that is on its disk`, "leave it out");
    if (values.gdbPort !== undefined)
      fault("gdbPort", `the kernel of ${name} lies at a random address`, "off");
    if (imageSource.download.name !== undefined && values.network === "isolated")
      fault("network", `${name} gets its kernel's headers and a compiler from the archive`, "nat");
  } else {
    if (values.firmware === "uefi")
      fault("firmware", "this image has no boot loader: its kernel is started directly", "bios");
    const missing =
      imageSource === undefined ? undefined : await kernelProblem?.(imageSource.recipe);
    if (missing !== undefined)
      faults.push({ key: named("kernel"), value: values.kernel ?? "distro", ...missing });
  }

  const custom = await customKernelOf(values, named, host.checkout);
  if (custom?.faults) faults.push(...custom.faults);

  const isLocal = values.libvirtUri?.startsWith("qemu:///") ?? false;
  if (isLocal && values.memory !== undefined && values.memory > host.memoryMiB) {
    const most = formatSize(host.memoryMiB);
    fault("memory", "is more than the host has", `from 512M to the host's ${most}`);
  }
  if (values.gdbPort !== undefined && values.gdbPort === values.sshPort) {
    fault("gdbPort", `is the port of ${named("sshPort")}`, "off, or another port");
  }

  const source = resolve(host.checkout, values.source ?? ".");
  let manifest: Manifest | undefined;
  if (values.source !== undefined) {
    const closed = await folderFault(named("source"), values.source, source);
    if (closed !== undefined) faults.push(closed);
    else {
      manifest = await manifestOf(source, named("source"), faults);
      const own = await ownFolderIn(source, places(environment));
      if (own !== undefined)
        fault(
          "source",
          `${own} lies in it: the guest could read the keys of all stacks`,
          "a folder that holds none of vexlab's own, or VEXLAB_STATE_DIR and VEXLAB_CACHE_DIR elsewhere",
        );
      if (values.libvirtUri?.startsWith("qemu:///system") === true) {
        const user = await qemuUser();
        const barrier = user === undefined ? undefined : await readableBy(source, user);
        if (barrier !== undefined) {
          fault(
            "source",
            `${barrier} is closed to ${user?.name ?? ""}, whom qemu:///system runs QEMU as`,
            `folders that it may enter (chmod o+x, or o+rx for the last), or ${named("libvirtUri")} qemu:///session`,
          );
        }
      }
    }
  }

  const userData = await checkedUserData(values.userData, host.checkout, (problem) =>
    fault("userData", problem, allowedAt(stackSchema, ["userData"]).text),
  );
  if (faults.length > 0 || !parsed.success || manifest === undefined || imageSource === undefined) {
    throw new ConfigurationError(where, faults);
  }
  const { memory, diskSize, testDiskSize, kernel, kernelParameters, gdbPort, suites, ...rest } =
    parsed.data;
  return {
    ...rest,
    ...(suites === undefined ? {} : { suites }),
    imageSource,
    ...(kernel === undefined ? {} : { kernel }),
    ...(custom?.kernel === undefined ? {} : { customKernel: custom.kernel }),
    kernelParameters: kernelParameters ?? [],
    memoryMiB: memory,
    diskMiB: diskSize,
    testDiskMiB: testDiskSize,
    source,
    manifest,
    ...(gdbPort === undefined ? {} : { gdbPort }),
    userData,
  };
}

/** What is booted; undefined, with its faults added, when the keys don't say. */
async function imageSourceOf(
  { image = "", kernel, imageVersion, imageDigest, imageKeyring, allowUnverified }: Partial<Values>,
  checkout: string,
  faults: Fault[],
): Promise<StackConfig["imageSource"] | undefined> {
  if (isCloudImage(image)) {
    const keyring = imageKeyring === undefined ? undefined : resolve(checkout, imageKeyring);
    const keys = { image, kernel, imageVersion, imageDigest, allowUnverified };
    const source = cloudImageOf({ ...keys, imageKeyring: keyring });
    if (keyring !== undefined && !(await isReadable(keyring)))
      faults.push({
        key: "vexlab:imageKeyring",
        value: imageKeyring ?? "",
        problem: `${keyring} cannot be read`,
        allowed: "the path of a keyring",
      });
    if (!("check" in source)) {
      faults.push(...source);
      return undefined;
    }
    return { download: source };
  }
  const downloaded = { imageVersion, imageDigest, imageKeyring };
  for (const [key, value] of Object.entries(downloaded))
    if (value !== undefined)
      faults.push({
        key: `${namespace}${key}`,
        value,
        problem: `${image} is built here, not downloaded`,
        allowed: "leave it out",
      });
  const recipe = await recipeOf({ image, kernel }, checkout, faults);
  return recipe === undefined ? undefined : { recipe };
}

async function isReadable(file: string): Promise<boolean> {
  return access(file, constants.R_OK).then(
    () => true,
    () => false,
  );
}

/** The recipe by image, kernel and lock file; undefined, and a fault more, when there is none. */
async function recipeOf(
  { image = "", kernel }: Partial<Values>,
  checkout: string,
  faults: Fault[],
): Promise<RecipeName | undefined> {
  const recipe = recipeFor(image, kernel);
  if (typeof recipe !== "string") {
    const names = allowedAt(stackSchema, ["image"]).text;
    faults.push(recipe.key === "vexlab:image" ? { ...recipe, allowed: names } : recipe);
    return undefined;
  }
  try {
    const lock = await readLock(checkout);
    if (lock === undefined) return recipe;
    const locked = lockedRecipe(lock, image, kernel);
    if (locked !== undefined) return locked;
    faults.push({
      key: `${namespace}kernel`,
      value: kernel ?? "distro",
      problem: `is not in ${lockFile} for ${image}`,
      allowed: `what is in it, or write it anew: vexlab kernels lock`,
    });
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    faults.push(...error.faults.map((fault) => ({ ...fault, key: `${lockFile}: ${fault.key}` })));
  }
  return undefined;
}

/** The kernel of the user's choice, or what is wrong with it; undefined when none is chosen. */
async function customKernelOf(
  { kernel, kernelConfig, kernelTree }: Values | Partial<Values>,
  named: (key: string) => string,
  checkout: string,
): Promise<{ kernel?: CustomKernel; faults?: readonly Fault[] } | undefined> {
  if (kernelTree !== undefined) {
    const folder = resolve(checkout, kernelTree);
    const faults = [...(await kernelTreeFaults(named("kernelTree"), kernelTree, folder))];
    for (const [key, value] of Object.entries({ kernel, kernelConfig: kernelConfig?.join(", ") }))
      if (value !== undefined)
        faults.push({
          ...{ key: named(key), value, allowed: `${named(key)} or ${named("kernelTree")}` },
          problem: `says which kernel, and ${named("kernelTree")} is one already`,
        });
    return faults.length > 0 ? { faults } : { kernel: { kind: "tree", folder } };
  }
  if (kernelConfig === undefined) return undefined;
  const chosen = await customConfig(named("kernelConfig"), kernelConfig, checkout);
  return "kind" in chosen ? { kernel: chosen } : { faults: chosen };
}

function withoutNamespace(raw: Readonly<Record<string, string>>): Record<string, string> {
  const given: Record<string, string> = {};
  for (const [key, value] of Object.entries(raw)) {
    if (key.startsWith(namespace)) given[key.slice(namespace.length)] = value;
    else if (!key.includes(":")) given[key] = value;
  }
  return given;
}

/** The keys of a faulty document that are right by themselves. */
function rightValues(document: Readonly<Record<string, string>>): Partial<Values> {
  const right: Record<string, unknown> = {};
  for (const key of stackKeys) {
    const result = stackSchema.shape[key].safeParse(document[key]);
    if (result.success) right[key] = result.data;
  }
  return right;
}

/** The manifest; its faults join those of the configuration. */
async function manifestOf(
  source: string,
  key: string,
  faults: Fault[],
): Promise<Manifest | undefined> {
  try {
    return await readManifest(source);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    faults.push(...error.faults.map((fault) => ({ ...fault, key: `${key}: ${fault.key}` })));
    return undefined;
  }
}

/** As lab/guest/userData.ts reads it: text with lines or a comment at the start, else a path. */
async function checkedUserData(
  value: string | undefined,
  checkout: string,
  fault: (problem: string) => void,
): Promise<string | undefined> {
  if (value === undefined || value.includes("\n") || value.trimStart().startsWith("#")) {
    return value;
  }
  const file = resolve(checkout, value);
  try {
    if (!(await stat(file)).isFile()) fault(`${file} is not a file`);
    await access(file, constants.R_OK);
  } catch (error) {
    fault(`${file} cannot be read: ${(error as Error).message}`);
  }
  return file;
}
