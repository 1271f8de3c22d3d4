import { BootProgress, type Milestone } from "../console/bootProgress.ts";
import { followConsole } from "../console/follow.ts";
import { showsFinal, whyNotReady, type NotReady } from "../console/notReady.ts";
import { parseAnnouncement, type Announcement } from "./announcement.ts";

/** Characters of the console that are kept for the explanation. */
const keptText = 512 * 1024;
/** After a line that shows the end, the guest may still print why. */
const afterwordsMs = 1500;

export type BootOutcome =
  | {
      readonly kind: "ready";
      readonly hostKey: HostKeyAnnouncement;
      readonly ready: Ready;
      /** What the console would say if cloud-init had errors. */
      readonly why: NotReady;
    }
  /** The console shows that the guest will never be ready. */
  | { readonly kind: "gaveUp"; readonly why: NotReady }
  /** The signal aborted first. */
  | { readonly kind: "stopped"; readonly why: NotReady; readonly latest: Milestone | undefined };

type HostKeyAnnouncement = Extract<Announcement, { kind: "hostKey" }>["key"];
type Ready = Extract<Announcement, { kind: "ready" }>;

export interface BootListener {
  milestone(milestone: Milestone): void;
  /** The boot began anew; milestones will come again. */
  restarted(): void;
}

/** Follows a guest's console until it has announced its host key and that it is ready. */
export async function followBoot(
  consoleFile: string,
  listener: BootListener,
  signal: AbortSignal,
): Promise<BootOutcome> {
  let progress = new BootProgress();
  let text = "";
  let hostKey: HostKeyAnnouncement | undefined;
  let ready: Ready | undefined;
  let sawFinal = false;
  const enough = new AbortController();
  let afterwords: NodeJS.Timeout | undefined;

  const forget = (): void => {
    hostKey = undefined;
    ready = undefined;
    sawFinal = false;
    clearTimeout(afterwords);
  };

  try {
    const either = AbortSignal.any([signal, enough.signal]);
    for await (const event of followConsole(consoleFile, either)) {
      if (event.kind === "truncated") {
        progress = new BootProgress();
        text = "";
        forget();
        listener.restarted();
        continue;
      }
      text = (text + event.text).slice(-keptText);
      for (const step of progress.push(event.text)) {
        if (step.kind === "milestone") listener.milestone(step.milestone);
        if (step.kind === "restarted") {
          forget();
          listener.restarted();
        }
        if (step.kind !== "line") continue;
        const announcement = parseAnnouncement(step.line);
        if (announcement?.kind === "hostKey") hostKey = announcement.key;
        if (announcement?.kind === "ready") ready = announcement;
        if (!sawFinal && showsFinal([step.line])) {
          sawFinal = true;
          afterwords = setTimeout(() => enough.abort(), afterwordsMs);
        }
      }
      if (hostKey !== undefined && ready !== undefined) {
        return { kind: "ready", hostKey, ready, why: whyNotReady(text) };
      }
    }
  } finally {
    clearTimeout(afterwords);
  }
  const why = whyNotReady(text);
  return sawFinal ? { kind: "gaveUp", why } : { kind: "stopped", why, latest: progress.latest };
}
