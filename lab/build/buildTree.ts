/**
 * Folders in which builds find what earlier ones made: `<state>/builds/<stack>/trees/<key>/tree`.
 *
 * A tree's key is everything that decides a build but the sources. Its record, `whole.json`, says
 * that every file in it is whole. The record is removed before anything is touched and written when
 * the build has ended, so a tree of a killed build has none, and the next build begins with nothing:
 * make deletes half-written outputs when it is interrupted, but not when it is killed.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import writeFileAtomic from "write-file-atomic";
import * as z from "zod";
import { ExitCode, LabError } from "../config/errors.ts";
import type { Manifest } from "../config/manifest.ts";
import { isRunning } from "../hypervisor/processes.ts";
import { LockBusy, takeLock } from "../image/lock.ts";
import type { Progress } from "../report/progress.ts";
import { declaredArtefacts } from "./artefacts.ts";
import { copyTree } from "./copy.ts";
import { buildEnvironment, buildSteps } from "./steps.ts";
import { layoutOf, removeOutputs, syncSources, type Layout } from "./sourceSync.ts";
import { listSources } from "./sources.ts";

const keptTrees = 3;
// Counted up when trees of an older vexlab must not be built in.
const format = 1;

const recordSchema = z.strictObject({
  format: z.literal(format),
  /** Boot of the host. After a power cut, files that were written long before can be empty. */
  boot: z.string(),
  layout: z.array(z.strictObject({ path: z.string(), target: z.string().optional() })),
});

/** What decides a build, the sources apart: image (kernel and compilers), commands, environment. */
export function treeKey(
  image: { readonly id: string; readonly kernelRelease: string },
  manifest: Manifest,
): string {
  const steps = buildSteps(manifest, image.kernelRelease, 1);
  const parts = [image.id, steps, buildEnvironment, declaredArtefacts(manifest), manifest.sources];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}

export interface TreeOptions {
  readonly progress: Progress;
  /** How long to wait for another build in the same tree, in milliseconds. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Does work in a tree that nobody else uses meanwhile, and forgets all but the last three used.
 * @param trees the stack's trees.
 * @param work gets the tree and whether another build was waited for.
 * @throws LabError hung when the other build doesn't end, cancelled; what the work throws.
 */
export async function withBuildTree<Result>(
  trees: string,
  key: string,
  { progress, deadlineMs, signal }: TreeOptions,
  work: (tree: BuildTree, waited: boolean) => Promise<Result>,
): Promise<Result> {
  await mkdir(trees, { recursive: true });
  let waited = false;
  const lock = await takeLock(lockFile(trees, key), {
    deadlineSeconds: Math.ceil(deadlineMs / 1000),
    signal,
    onWait: (holder) => {
      waited = true;
      const who =
        holder === undefined
          ? "another build"
          : `process ${holder.pid}, which builds since ${holder.since}`;
      progress.line(`waiting for ${who}, in the same build tree`);
    },
  });
  try {
    const result = await work(new BuildTree(trees, key), waited);
    await pruneTrees(trees, key);
    return result;
  } finally {
    await lock.release();
  }
}

/** A tree whose lock is held. */
export class BuildTree {
  /** The folder with sources and outputs. */
  readonly folder: string;
  private readonly record: string;
  private layout: Layout = [];

  constructor(
    private readonly trees: string,
    key: string,
  ) {
    this.folder = join(trees, key, "tree");
    this.record = join(trees, key, "whole.json");
  }

  /**
   * Puts the sources in, and takes the artefacts out: one that is there after the build was made by
   * it. From here on the tree is not whole, until `keep`.
   * @param copy a copy of the sources.
   * @returns `clean` when there are no outputs of an earlier build, else the sources that changed.
   */
  async prepare(copy: string, manifest: Manifest): Promise<"clean" | readonly string[]> {
    const before = await this.readRecord();
    await rm(this.record, { force: true });
    const sources = await listSources(copy, manifest);
    this.layout = layoutOf(sources);
    if (before !== undefined && isDeepStrictEqual(before, this.layout)) {
      const changed = await syncSources(copy, this.folder, sources);
      const outputs = declaredArtefacts(manifest);
      if (changed !== undefined && (await removeOutputs(this.folder, outputs))) return changed;
    }
    await this.discard();
    await copyTree(copy, this.folder, manifest);
    return "clean";
  }

  /**
   * Records that every file in the tree is whole: the next build goes on from here.
   * @throws LabError when the tree is gone
   */
  async keep(): Promise<void> {
    const record = { format, boot: await bootId(), layout: this.layout };
    try {
      await writeFileAtomic(this.record, JSON.stringify(record));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      throw new LabError(
        `${this.folder} was removed while the module was built in it`,
        ExitCode.infrastructureFailed,
        "Was the stack destroyed meanwhile? `vexlab up STACK` brings it back.",
        { cause: error },
      );
    }
    const now = new Date();
    await utimes(join(this.folder, ".."), now, now);
  }

  /** Throws everything in the tree away. */
  async discard(): Promise<void> {
    await rm(this.record, { force: true });
    await discardFolder(this.trees, this.folder);
  }

  private async readRecord(): Promise<Layout | undefined> {
    try {
      const record = recordSchema.parse(JSON.parse(await readFile(this.record, "utf8")));
      return record.boot === (await bootId()) ? record.layout : undefined;
    } catch {
      // Absent, or of another version.
      return undefined;
    }
  }
}

// Never removed: whoever waits for the lock has the file open, and would hold another than those
// who come later and make a new one.
const lockFile = (trees: string, key: string): string => join(trees, `${key}.lock`);

/**
 * Removes a folder that another process may still write to: commands of a killed build end a moment
 * after it. They go on in the folder of the other name.
 */
async function discardFolder(trees: string, folder: string): Promise<void> {
  const away = join(trees, `.discarded-${process.pid}-${randomBytes(4).toString("hex")}`);
  try {
    await rename(folder, away);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return;
  }
  await rm(away, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}

async function pruneTrees(trees: string, current: string): Promise<void> {
  const others: { key: string; used: number }[] = [];
  for (const name of await readdir(trees)) {
    const remover = /^\.discarded-(\d+)-/.exec(name)?.[1];
    if (remover !== undefined && !(await isRunning(Number(remover)))) {
      await rm(join(trees, name), { recursive: true, force: true });
    } else if (/^[0-9a-f]{16}$/.test(name) && name !== current) {
      const status = await stat(join(trees, name)).catch(() => undefined);
      if (status !== undefined) others.push({ key: name, used: status.mtimeMs });
    }
  }
  others.sort((a, b) => b.used - a.used);
  for (const { key } of others.slice(keptTrees - 1)) {
    try {
      const lock = await takeLock(lockFile(trees, key), { deadlineSeconds: 0 });
      await discardFolder(trees, join(trees, key)).finally(() => lock.release());
    } catch (error) {
      // Someone builds in it: then it is no old one.
      if (!(error instanceof LockBusy)) throw error;
    }
  }
}

async function bootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
}
