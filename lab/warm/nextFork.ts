/** The fork of the next test run, started before it is wanted: while the module is built. */
import { startSibling, type ForkBase, type Sibling } from "./sibling.ts";

/** Milliseconds for the sign of life of a guest that has been waiting. */
const aliveMs = 5000;

export class NextFork {
  private ahead: { readonly base: ForkBase; readonly fork: Promise<Sibling> } | undefined;
  private readonly stop = new AbortController();

  constructor(private readonly start: typeof startSibling = startSibling) {}

  /** Starts a fork, unless one is waiting or on its way. What goes wrong is told by `take`. */
  begin(base: ForkBase): void {
    if (this.ahead !== undefined || this.stop.signal.aborted) return;
    const fork = this.start(base, this.stop.signal);
    fork.catch(() => undefined);
    this.ahead = { base, fork };
  }

  /**
   * The fork that was started ahead, if it is of the same base and alive; else one that is started
   * now. It is the caller's to remove.
   * @throws LabError
   */
  async take(base: ForkBase, signal?: AbortSignal): Promise<Sibling> {
    const { ahead } = this;
    this.ahead = undefined;
    const waiting = await ahead?.fork.catch(() => undefined);
    if (waiting !== undefined) {
      if (ahead !== undefined && sameBase(ahead.base, base) && (await isAlive(waiting)))
        return waiting;
      await waiting.remove();
    }
    return this.start(base, signal);
  }

  /** Removes a fork that nobody took, and starts no more. */
  async close(): Promise<void> {
    this.stop.abort();
    const { ahead } = this;
    this.ahead = undefined;
    const waiting = await ahead?.fork.catch(() => undefined);
    await waiting?.remove();
  }
}

/** Whether forks of both are the same: the stack may have been defined anew meanwhile. */
function sameBase(one: ForkBase, other: ForkBase): boolean {
  return (
    one.warm.key === other.warm.key &&
    one.builds === other.builds &&
    one.described.definition === other.described.definition
  );
}

async function isAlive({ guest }: Sibling): Promise<boolean> {
  try {
    const { exitCode } = await guest.run(["true"], { deadlineMs: aliveMs });
    return exitCode === 0;
  } catch {
    return false;
  }
}
