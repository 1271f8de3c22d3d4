/** What a run needs of a guest, apart from where it runs. */
import type { GuestSession } from "../guest/session.ts";

/** The part of a guest session that a run uses. */
export type Guest = Pick<GuestSession, "run" | "uploadFolder">;

export type DomainState = "running" | "crashed" | "stopped" | "unknown";

/** What can be seen of the guest from outside, also when it no longer answers. */
export interface GuestWitness {
  /** What the console has shown since the run began. */
  consoleSinceStart(): Promise<string>;
  /** What the console shows from the run's beginning on, piece by piece, until the signal aborts. */
  consoleText(signal: AbortSignal): AsyncIterable<string>;
  domainState(): Promise<DomainState>;
  /** Why QEMU has stopped the guest's processors; undefined when it has not, or can't be asked. */
  whyPaused?(): Promise<string | undefined>;
  /** Presses Alt, SysRq and a letter on the guest's keyboard. @throws LabError */
  pressSysrq(letter: string): Promise<void>;
}

/** The run's log: takes everything, as it happens. */
export interface RunLog {
  /** One line, or several separated by newlines. */
  write(text: string): void;
}
