/** A run's human log: every line with the seconds since the run began, written as the run goes. */
import { readlinkSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { cannotWrite } from "../config/diskSpace.ts";
import type { RunLog } from "../run/guest.ts";

export interface LogFile extends RunLog {
  /**
   * Waits until all is written and closes the file.
   * @throws LabError, naming the file, when not all could be written
   */
  close(): Promise<void>;
}

/** A log on a file that is open for writing. */
export function logFile(handle: FileHandle): LogFile {
  const began = performance.now();
  // proc(5); by its name only while it is open.
  const file = readlinkSync(`/proc/self/fd/${handle.fd}`);
  const stream = handle.createWriteStream();
  let failed: Error | undefined;
  // A full disk must not end the run; it is reported when the log is closed.
  stream.on("error", (error) => (failed = error));
  return {
    write(text) {
      if (failed) return;
      const seconds = ((performance.now() - began) / 1000).toFixed(3).padStart(9);
      const lines = text.replace(/\n$/, "").split("\n");
      stream.write(lines.map((line) => `[${seconds}] ${line}\n`).join(""));
    },
    async close() {
      await new Promise<void>((resolve) => {
        stream.once("close", resolve);
        if (stream.destroyed) resolve();
        else stream.end();
      });
      if (failed) throw await cannotWrite(file, failed);
    },
  };
}
