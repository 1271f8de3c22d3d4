/** Watches a guest's console for the end of its kernel. */
import { CrashParser } from "../console/crashParser.ts";
import type { GuestWitness } from "./guest.ts";

/** Calls back once when the console shows a panic or restart. The returned function ends the watch. */
export function watchForEnd(witness: GuestWitness, ended: () => void): () => void {
  const stop = new AbortController();
  const parser = new CrashParser();
  const watch = async (): Promise<void> => {
    for await (const text of witness.consoleText(stop.signal)) {
      parser.push(text);
      if (stop.signal.aborted) return;
      if (!parser.sawEnd) continue;
      ended();
      return;
    }
  };
  // A console that can't be read shows no end; the run has other ways to find out.
  void watch().catch(() => undefined);
  return () => stop.abort();
}
