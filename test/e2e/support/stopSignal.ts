/** For programs that run commands in a checkout for minutes, and clean up when they are ended. */
import { readFile } from "node:fs/promises";

/** Aborted when the program is to end; what it runs is ended as well. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  process.on("SIGINT", () => stop.abort(new Error("cancelled")));
  process.on("SIGTERM", () => {
    stop.abort(new Error("cancelled"));
    // A terminal's Ctrl-C reaches them by itself.
    void endChildren();
  });
  return stop.signal;
}

async function endChildren(): Promise<void> {
  const text = await readFile(`/proc/${process.pid}/task/${process.pid}/children`, "utf8");
  for (const pid of text.trim().split(" ").filter(Boolean)) process.kill(Number(pid), "SIGTERM");
}
