/**
 * Watching a source folder: one change for each time that the sources have become others.
 *
 * What happens on the disk is only a reason to look. What decides is the hash of the sources, so a
 * touch, a build output or an editor's leftover is no change, and nothing is lost between two looks.
 */
import { relative } from "node:path/posix";
import { ConfigurationError } from "../config/errors.ts";
import { readManifest } from "../config/manifest.ts";
import { FolderEvents } from "./folderEvents.ts";
import { hashSources } from "./sources.ts";

export interface WatchOptions {
  /** Milliseconds without an event after which what goes on in the folder is over. */
  readonly debounceMs?: number;
  /** Milliseconds that a mistake, or the folder's absence, lasts before it is a change. */
  readonly patienceMs?: number;
  /** The hash that the caller has dealt with; by default that of the sources at the first look. */
  readonly since?: string;
  /** Ends the watch. */
  readonly signal?: AbortSignal;
}

/** What the sources have become: others, or none that can be built. */
export type SourceChange =
  | { readonly sourceHash: string }
  /** The manifest is wrong or not there, or a source cannot be read or leads out of the folder. */
  | { readonly mistake: ConfigurationError };

/**
 * The changes of a source folder. One is given when it is asked for and the sources are others than
 * the last time; changes that happen meanwhile become one. A mistake is given once; sources that are
 * right again are a change even when they are the same as before it. The watch begins when the first
 * change is asked for and ends with the loop or the signal.
 * @throws LabError infrastructureFailed when the host cannot watch the folder.
 */
export async function* watchSources(
  folder: string,
  { debounceMs = 150, patienceMs = 1500, since, signal }: WatchOptions = {},
): AsyncGenerator<SourceChange, void, void> {
  const events = new FolderEvents(folder, debounceMs, signal);
  try {
    let last = since;
    while (!events.hasEnded()) {
      const change = await look(folder, events, patienceMs);
      if (events.hasEnded()) return;
      const state = "sourceHash" in change ? change.sourceHash : change.mistake.message;
      // Without a hash from the caller the first look is where the watch begins.
      const isChange = last !== undefined && state !== last;
      last = state;
      if (isChange) yield change;
      await events.next();
    }
  } finally {
    await events.close();
  }
}

/** The sources as they are when nothing happens to them. */
async function look(
  folder: string,
  events: FolderEvents,
  patienceMs: number,
): Promise<SourceChange> {
  const patientUntil = performance.now() + patienceMs;
  for (;;) {
    await events.settle();
    const change = await read(folder);
    const left = patientUntil - performance.now();
    if (events.hasEnded() || (!events.pending && "sourceHash" in change)) return change;
    if (left <= 0) return change;
    // An editor that saves by renaming, a checkout: the next moment it may be right.
    if (!events.pending) await events.next(left);
  }
}

async function read(folder: string): Promise<SourceChange> {
  try {
    return { sourceHash: await hashSources(folder, await readManifest(folder)) };
  } catch (error) {
    if (error instanceof ConfigurationError) return { mistake: error };
    const { code, path } = error as NodeJS.ErrnoException;
    if (code === undefined || path === undefined) throw error;
    const key = relative(folder, path) || folder;
    const problem = `cannot be read (${code})`;
    const fault = { key, problem, allowed: "a readable file or folder" };
    return { mistake: new ConfigurationError(folder, [fault]) };
  }
}
