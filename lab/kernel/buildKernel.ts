/**
 * Builds a kernel of the distribution's sources with fragments of configuration, in the root file
 * system of an image. It takes a quarter of an hour or more, so it is kept apart from the images that
 * are made with it.
 */
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { execa } from "execa";
import writeFileAtomic from "write-file-atomic";
import type { CustomKernel } from "../config/customKernel.ts";
import { ExitCode, LabError } from "../config/errors.ts";
import { missingOptions, parseKernelConfig } from "../config/kernelTree.ts";
import { checkDiskSpace } from "../image/build.ts";
import type { BuiltImage } from "../image/image.ts";
import { takeLock } from "../image/lock.ts";
import { removeFolders } from "../image/namespace.ts";
import { formatDuration, type Progress } from "../report/progress.ts";
import { fetchSource, sourceOrigin } from "./fetchSource.ts";
import {
  buildingPrefix,
  kernelFolder,
  kernelLock,
  kernelLog,
  kernelsFolder,
  makeKernelsFolder,
  openKernel,
  readKernelPointer,
  sumsOf,
  unfinishedKernels,
  writeKernelPointer,
  type KernelManifest,
} from "./kernelCache.ts";
import { configFiles, hashCustomKernel, releaseSuffix } from "./kernelRecipe.ts";
import { afterLine, describeMake, notBegun } from "./makeProgress.ts";
import { inside, runInSandbox, type Sandbox } from "./sandbox.ts";

export interface KernelOptions {
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
  readonly cache?: string | undefined;
  /** Take the sources that the archive has today; built only when these are others. */
  readonly refresh?: boolean | undefined;
}

type ConfigKernel = CustomKernel & { kind: "config" };

/** What a build needs on disk: sources, objects with debug information, what is kept. */
const diskNeeded = 8 * 2 ** 30;
/** A quarter of an hour on two quiet cores; many times that on a slow or busy host. */
const buildDeadlineMs = 6 * 3600_000;
const smallDeadlineMs = 20 * 60_000;
const progressEveryMs = 20_000;

/** The hash of what a configuration makes from an image's sources. */
export async function kernelRecipeHash(custom: ConfigKernel, base: BuiltImage): Promise<string> {
  const { release, suite, name } = sourceOrigin(base);
  const parts = [release, suite, name, await hashCustomKernel(custom)];
  return createHash("sha256").update(parts.join("\0")).digest("hex").slice(0, 16);
}

/** The compiler of an image, as the version of its package. */
export function compilerOf({ packages }: Pick<BuiltImage, "packages">): string {
  const names = Object.keys(packages).filter((name) => /^(?:gcc-\d+|binutils)$/.test(name));
  return names.map((name) => `${name} ${packages[name] ?? ""}`).join(", ");
}

/**
 * The kernel of a configuration: of the cache, else built; by one process, while others wait.
 * @throws LabError; nothing half-made is left
 */
export async function ensureKernel(
  custom: ConfigKernel,
  base: BuiltImage,
  options: KernelOptions,
): Promise<KernelManifest> {
  const { progress, signal, cache, refresh = false } = options;
  const hash = await kernelRecipeHash(custom, base);
  const compiler = compilerOf(base);
  const find = async (): Promise<KernelManifest | undefined> => {
    const id = await readKernelPointer(hash, cache);
    const found = id === undefined ? undefined : await openKernel(id, cache);
    return found?.compiler === compiler ? found : undefined;
  };
  const found = refresh ? undefined : await find();
  if (found) return found;
  await makeKernelsFolder(cache);
  const lock = await takeLock(kernelLock(hash, cache), {
    deadlineSeconds: buildDeadlineMs / 1000,
    signal,
    onWait: (holder) =>
      progress.line(
        holder === undefined
          ? "waiting for another process that builds this kernel"
          : `waiting for process ${holder.pid}, which builds this kernel since ${holder.since}`,
      ),
  });
  try {
    const meanwhile = refresh ? undefined : await find();
    if (meanwhile) return meanwhile;
    await removeFolders(await unfinishedKernels(`${hash}.`, cache));
    const made = await build(custom, base, hash, options);
    await writeKernelPointer(hash, made.id, cache);
    return made;
  } finally {
    await lock.release();
  }
}

async function build(
  custom: ConfigKernel,
  base: BuiltImage,
  hash: string,
  options: KernelOptions,
): Promise<KernelManifest> {
  const { progress, signal, cache } = options;
  const label = [...custom.fragments, ...custom.files.map((file) => basename(file))].join(", ");
  const step = progress.step(`kernel with ${label}`);
  const work = await mkdtemp(join(kernelsFolder(cache), `${buildingPrefix}${hash}.`));
  try {
    const fetched = join(work, "package");
    const source = await fetchSource(base, fetched, signal);
    const compiler = compilerOf(base);
    const sum = createHash("sha256").update([hash, source.version, compiler].join("\0"));
    const series = /^\d+\.\d+/.exec(base.kernelRelease)?.[0] ?? "";
    const name = `${series}${releaseSuffix(custom)}`;
    const id = `${name}-${sum.digest("hex").slice(0, 12)}`;
    const there = await openKernel(id, cache);
    if (there) {
      step.done(`${id} is of these sources already`);
      return there;
    }
    await checkDiskSpace(kernelsFolder(cache), diskNeeded, "a kernel");
    const log = kernelLog(hash, cache);
    await rm(log, { force: true });
    const box = { sysroot: base.sysroot, work, signal, log, deadlineMs: smallDeadlineMs };
    const began = performance.now();
    const tree = join(work, "linux");
    await unpack(source.file, tree, signal);
    await removeFolders([fetched]);
    await configure(custom, tree, box);
    await make(box, progress);
    await collect(box, `${inside.work}/linux`, `${inside.work}/linux`);
    const files = join(work, "files");
    const release = await takeRelease(files);
    await rm(tree, { recursive: true, force: true });
    const manifest: KernelManifest = {
      ...{ id, recipeHash: hash, release, sourceVersion: source.version, compiler },
      created: new Date().toISOString(),
      seconds: Math.round((performance.now() - began) / 1000),
      ...(await sumsOf(files, release)),
    };
    await finish(manifest, work, cache);
    step.done(`${id}, release ${release}`);
    return manifest;
  } catch (error) {
    step.failed();
    throw error;
  } finally {
    await removeFolders([work]);
  }
}

async function unpack(file: string, tree: string, signal?: AbortSignal): Promise<void> {
  await mkdir(tree);
  const argv = ["--extract", "--file", file, "--directory", tree, "--strip-components=1"];
  const result = await execa("tar", argv, {
    reject: false,
    ...(signal && { cancelSignal: signal }),
  });
  if (result.isCanceled) throw new LabError("cancelled", ExitCode.cancelled);
  if (result.exitCode !== 0)
    throw new LabError(
      `the kernel's sources can't be unpacked: ${result.stderr.split("\n")[0] ?? ""}`,
      ExitCode.infrastructureFailed,
    );
}

/** Configures, and sees to it that what was asked for is what came of it. */
async function configure(custom: ConfigKernel, tree: string, box: Sandbox): Promise<void> {
  const configs = join(box.work, "config");
  await mkdir(configs);
  const names: string[] = [];
  for (const [index, file] of configFiles(custom).entries()) {
    const name = `${index}-${basename(file)}`;
    await writeFile(join(configs, name), await readFile(file));
    names.push(`${inside.work}/config/${name}`);
  }
  const script = `${inside.vexlab}/configure.sh`;
  const argv = ["sh", script, `${inside.work}/linux`, releaseSuffix(custom), ...names];
  await runInSandbox("the configuration of the kernel", box, argv);
  const config = await readFile(join(tree, ".config"), "utf8");
  const [, ...asked] = configFiles(custom);
  const untaken = (
    await Promise.all(
      asked.map(async (file) =>
        untakenLines(await readFile(file, "utf8"), config).map(
          (line) => `${basename(file)}: ${line}`,
        ),
      ),
    )
  ).flat();
  const missing = missingOptions(parseKernelConfig(config)).map((each) => `a guest needs ${each}`);
  if (untaken.length + missing.length === 0) return;
  throw new LabError(
    `the kernel can't be configured so; not taken:\n  ${[...untaken, ...missing].join("\n  ")}`,
    ExitCode.usage,
    "Such an option does not exist in this kernel, or depends on others: make menuconfig, / shows on which.",
  );
}

/** The lines of a fragment that the configuration does not have. Pure. */
export function untakenLines(fragment: string, config: string): string[] {
  const options = parseKernelConfig(config);
  return fragment.split("\n").filter((line) => {
    const off = /^# CONFIG_(\w+) is not set$/.exec(line)?.[1];
    if (off !== undefined) return options.has(off);
    const [on] = parseKernelConfig(line);
    if (on === undefined) return false;
    const [symbol, value] = on;
    // `n` is how a fragment may write "not set".
    return value === "n" ? options.has(symbol) : options.get(symbol) !== value;
  });
}

async function make(box: Sandbox, progress: Progress): Promise<void> {
  const began = performance.now();
  let state = notBegun;
  const tell = (): void => {
    progress.line(`${describeMake(state)}, ${formatDuration(performance.now() - began)}`);
  };
  const timer = setInterval(tell, progressEveryMs);
  try {
    const jobs = `-j${availableParallelism()}`;
    // Whoever works on this machine meanwhile comes first.
    const argv = ["nice", "-n", "15", "make", "-C", `${inside.work}/linux`, jobs];
    await runInSandbox(
      "make of the kernel",
      {
        ...box,
        deadlineMs: buildDeadlineMs,
        onLine: (line) => {
          state = afterLine(state, line);
        },
      },
      [...argv, "bzImage", "modules"],
    );
    tell();
  } finally {
    clearInterval(timer);
  }
}

/** Fills `files` of the work folder from a built tree. */
export async function collect(box: Sandbox, source: string, built: string): Promise<void> {
  const argv = ["sh", `${inside.vexlab}/collect.sh`, source, built, `${inside.work}/files`];
  await runInSandbox("taking kernel and modules from the tree", box, argv);
}

/** The release of the kernel that was collected. */
export async function takeRelease(files: string): Promise<string> {
  const file = join(files, "kernel-release");
  const release = (await readFile(file, "utf8")).trim();
  await rm(file);
  return release;
}

async function finish(manifest: KernelManifest, work: string, cache?: string): Promise<void> {
  const done = join(work, "done");
  await mkdir(done);
  await rename(join(work, "files"), join(done, "files"));
  await writeFileAtomic(join(done, "manifest.json"), `${JSON.stringify(manifest, null, 1)}\n`);
  // The name must not outlive a power failure that the content does not.
  await execa("sync", ["--file-system", done]);
  // A damaged one of the same id.
  await removeFolders([kernelFolder(manifest.id, cache)]);
  await rename(done, kernelFolder(manifest.id, cache));
  await execa("sync", ["--file-system", kernelsFolder(cache)]);
}
