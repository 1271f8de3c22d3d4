/** Where a run gets its guest from: the stack's own, or a fork that exists for the run only. */
import { LabError } from "../config/errors.ts";
import { DamagedImage } from "../image/image.ts";
import type { Progress } from "../report/progress.ts";
import { NextFork } from "../warm/nextFork.ts";
import type { ForkBase } from "../warm/sibling.ts";
import type { Guest, RunLog } from "./guest.ts";
import type { RunPlan } from "./plan.ts";
import { readyGuest, type GuestPlace } from "./readyGuest.ts";

/** A guest for one run. */
export interface OpenGuest {
  readonly guest: Guest;
  readonly consoleFile: string;
  /** libvirt's name or UUID. */
  readonly domain: string;
  /** It was never used: nothing of an earlier run is in it. */
  readonly fresh: boolean;
  /** Why it is not the guest that was tried first. */
  readonly instead?: string;
  close(): Promise<void>;
}

/** Opens a guest for a run. @throws LabError when there is none to be had */
export type GuestSource = (
  plan: RunPlan,
  progress: Progress,
  log: RunLog,
  signal?: AbortSignal,
) => Promise<OpenGuest>;

/** The stack's own guest, started or restarted as needed; for one run at a time. */
export function ownGuest(place: GuestPlace): GuestSource {
  return oneAtATime(async (plan, progress, log, signal) => {
    const session = await readyGuest(place, plan, progress, log, signal);
    const { consoleFile, domain } = place;
    const close = (): Promise<void> => {
      session.close();
      return Promise.resolve();
    };
    return { guest: session, consoleFile, domain, fresh: false, close };
  });
}

/** A source whose next guest is opened when the one before it is closed: it is the same guest. */
export function oneAtATime(source: GuestSource): GuestSource {
  let last = Promise.resolve();
  return async (...run) => {
    const before = last;
    let free: () => void = () => undefined;
    last = new Promise((resolve) => {
      free = resolve;
    });
    await before;
    try {
      const open = await source(...run);
      return { ...open, close: () => open.close().finally(free) };
    } catch (error) {
      free();
      throw error;
    }
  };
}

/**
 * A fork for each run, or `otherwise` where a fork can't be had; then the reason is told. Over a damaged
 * image no guest can be trusted.
 * @param base begun early, so that the first fork doesn't wait for it
 * @param next where the first run finds its fork, if one was started ahead
 */
export function forkedGuest(
  base: Promise<ForkBase>,
  otherwise: GuestSource,
  next = new NextFork(),
): GuestSource {
  // Awaited by each run; that nobody awaits it when none begins is no fault.
  base.catch(() => undefined);
  return async (plan, progress, log, signal) => {
    try {
      const from = await base;
      let instead: string | undefined;
      const sibling = await next.take(from, signal).catch((error: unknown) => {
        if (signal?.aborted || !(error instanceof LabError) || error instanceof DamagedImage)
          throw error;
        instead = `a fork did not start: ${firstLine(error)}`;
        progress.line(`${instead}; once more`);
        log.write(`${error.message}\nstarting another fork`);
        return next.take(from, signal);
      });
      log.write(`in a guest of its own: ${sibling.domain}, from warm image ${from.warm.key}`);
      const { guest, consoleFile, domain } = sibling;
      const close = (): Promise<void> => sibling.remove();
      const open = { guest, consoleFile, domain, fresh: true, close };
      return instead === undefined ? open : { ...open, instead };
    } catch (error) {
      if (signal?.aborted || !(error instanceof Error) || error instanceof DamagedImage)
        throw error;
      const why = `no fork for the run: ${firstLine(error)}; it takes the stack's own guest`;
      progress.line(why);
      log.write(why);
      return otherwise(plan, progress, log, signal);
    }
  };
}

const firstLine = ({ message }: Error): string => message.split("\n")[0] ?? "";
