/** Ctrl-C and its like as an AbortSignal, for work that has something to put in order first. */
import { ExitCode } from "./errors.ts";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Does some work with a signal that the user's Ctrl-C aborts. The second Ctrl-C, of someone who will
 * not wait for the clean-up, ends the process with 130.
 */
export async function cancellable<Result>(
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const cancel = new AbortController();
  const onSignal = (): void => {
    if (cancel.signal.aborted) process.exit(ExitCode.cancelled);
    cancel.abort();
  };
  for (const signal of signals) process.on(signal, onSignal);
  try {
    return await work(cancel.signal);
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
  }
}
