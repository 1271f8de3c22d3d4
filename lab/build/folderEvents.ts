/**
 * Whether something happens in a source folder, from the kernel's inotify by chokidar. Which file it
 * was is not told: events come late, twice, or for a folder that is already another.
 */
import { existsSync } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { dirname, join, relative } from "node:path/posix";
import { watch, type FSWatcher } from "chokidar";
import { ExitCode, LabError } from "../config/errors.ts";
import { readManifest } from "../config/manifest.ts";
import { sourceRules, type SourceRules } from "./sources.ts";

// A folder that is moved away or replaced tells nothing reliable, so it is looked at.
const rootPollMs = 300;

// Something that writes without a pause is not waited for without end.
const longestBurstMs = 10_000;

export class FolderEvents {
  /** Whether something happened since `settle`. */
  pending = false;
  private lastEvent = 0;
  private watcher: FSWatcher | undefined;
  /** What the watcher was made for: the folder itself, not its name, and what its manifest says. */
  private watched = "";
  private rules: SourceRules | undefined;
  private rulesOf = "";
  private failure: LabError | undefined;
  private wake: () => void = () => undefined;
  private readonly poll: NodeJS.Timeout;
  private readonly onAbort = (): void => this.wake();

  /** @param debounceMs milliseconds without an event after which a burst of them is over. */
  constructor(
    private readonly folder: string,
    private readonly debounceMs: number,
    private readonly signal: AbortSignal | undefined,
  ) {
    signal?.addEventListener("abort", this.onAbort);
    this.poll = setInterval(() => {
      void identity(folder).then((now) => {
        if (!this.watched.startsWith(`${now} `)) this.happened();
      });
    }, rootPollMs);
  }

  hasEnded(): boolean {
    return this.signal?.aborted === true;
  }

  /**
   * Waits until nothing has happened for the debounce, and sees to it that from then on everything
   * that happens is noticed.
   * @throws LabError infrastructureFailed when the host cannot watch the folder.
   */
  async settle(): Promise<void> {
    const until = performance.now() + longestBurstMs;
    while (this.pending && !this.hasEnded()) {
      this.pending = false;
      const left = Math.min(this.lastEvent + this.debounceMs, until) - performance.now();
      if (left > 0) {
        await this.sleep(left);
        this.pending ||= performance.now() < Math.min(this.lastEvent + this.debounceMs, until);
      }
    }
    await this.watchAgain();
    this.pending = false;
    if (this.failure !== undefined) throw this.failure;
  }

  /** Waits for something to happen, or for so many milliseconds, or for the end. */
  async next(milliseconds?: number): Promise<void> {
    const until = milliseconds === undefined ? Infinity : performance.now() + milliseconds;
    while (!this.pending && !this.hasEnded() && this.failure === undefined) {
      const left = until - performance.now();
      if (left <= 0) return;
      await this.sleep(left);
    }
  }

  async close(): Promise<void> {
    clearInterval(this.poll);
    this.signal?.removeEventListener("abort", this.onAbort);
    await this.watcher?.close();
  }

  private happened(): void {
    this.pending = true;
    this.lastEvent = performance.now();
    this.wake();
  }

  private async sleep(milliseconds: number): Promise<void> {
    if (this.hasEnded()) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.wake = resolve;
      if (milliseconds !== Infinity) timer = setTimeout(resolve, milliseconds);
    });
    clearTimeout(timer);
  }

  /** Makes a new watcher when the folder, or what its manifest leaves out, is another. */
  private async watchAgain(): Promise<void> {
    const manifest = await readManifest(this.folder).catch(() => undefined);
    if (manifest !== undefined) {
      const { module, tools, sources } = manifest;
      this.rulesOf = JSON.stringify([module, tools, sources]);
      this.rules = sourceRules(manifest);
    }
    const now = `${await identity(this.folder)} ${this.rulesOf}`;
    if (now === this.watched) return;
    await this.watcher?.close();
    this.watcher = undefined;
    this.watched = now;
    // Until it is back only the poll watches.
    const root = await realpath(this.folder).catch(() => undefined);
    if (root === undefined) return;
    const watcher = watch(root, {
      ignored: (path, status) => status !== undefined && this.ignores(root, path, status),
      ignoreInitial: true,
      followSymlinks: false,
      ignorePermissionErrors: true,
      // It would hold back the end of a file for 100 ms, in case it comes back. We wait ourselves.
      atomic: false,
    });
    this.watcher = watcher;
    // Also the kernel's own events: chokidar goes by times, so a file whose mode alone changes, or
    // that is written again within its clock's tick, is none of its own.
    watcher.on("all", () => this.happened()).on("raw", () => this.happened());
    await new Promise<void>((resolve) => {
      watcher.on("ready", resolve).on("error", (error) => {
        this.failure ??= unwatchable(this.folder, error);
        resolve();
        this.wake();
      });
    });
  }

  private ignores(root: string, path: string, status: { isDirectory(): boolean }): boolean {
    const inside = relative(root, path);
    if (inside === "" || this.rules === undefined) return false;
    if (!status.isDirectory()) return !this.rules.isSource(inside);
    return !this.rules.mayHoldSources(inside, existsSync(join(dirname(path), "Cargo.toml")));
  }
}

/** Device and inode of a folder, or `none`. */
async function identity(folder: string): Promise<string> {
  return stat(folder).then(
    ({ dev, ino }) => `${dev}:${ino}`,
    () => "none",
  );
}

function unwatchable(folder: string, error: unknown): LabError {
  const { code, message } = error as NodeJS.ErrnoException;
  const limit = { ENOSPC: "max_user_watches", EMFILE: "max_user_instances" }[code ?? ""];
  return new LabError(
    `cannot watch ${folder}: ${message}`,
    ExitCode.infrastructureFailed,
    limit === undefined
      ? "Set CHOKIDAR_USEPOLLING=1 where the kernel tells nothing of changes (NFS, 9p)."
      : `Raise the limit (sysctl fs.inotify.${limit}), or set CHOKIDAR_USEPOLLING=1.`,
    { cause: error },
  );
}
