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

/** What a guest prints for ever must not fill the host's disk. */
const largestLog = 128 * 1024 * 1024;
/** Room for vexlab's own words about the end of such a run. */
const kept = 1024 * 1024;

// All but the tab; some terminals obey U+0080 to U+009F, too.
// eslint-disable-next-line no-control-regex
const controlCharacter = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/**
 * A log on a file that is open for writing. Control characters are shown as \x1b: the evidence stays,
 * and `cat` of the file is harmless.
 * @param most bytes of the log; of what is written beyond, the last is kept
 */
export function logFile(handle: FileHandle, most = largestLog, keep = kept): LogFile {
  const began = performance.now();
  // proc(5); by its name only while it is open.
  const file = readlinkSync(`/proc/self/fd/${handle.fd}`);
  const stream = handle.createWriteStream();
  let failed: Error | undefined;
  let written = 0;
  const last = new LastText(keep);
  // A full disk must not end the run; it is reported when the log is closed.
  stream.on("error", (error) => (failed = error));
  return {
    write(text) {
      if (failed) return;
      const seconds = ((performance.now() - began) / 1000).toFixed(3).padStart(9);
      const lines = text.replace(/\n$/, "").split("\n");
      const shown = lines.map((line) => `[${seconds}] ${visible(line)}\n`).join("");
      if (written < most) {
        written += Buffer.byteLength(shown);
        stream.write(shown);
      } else last.add(shown);
    },
    async close() {
      if (!failed) {
        if (last.dropped > 0)
          stream.write(
            `[the log is full: ${last.dropped} characters of the output are not kept]\n`,
          );
        stream.write(last.text);
      }
      await new Promise<void>((resolve) => {
        stream.once("close", resolve);
        if (stream.destroyed) resolve();
        else stream.end();
      });
      if (failed) throw await cannotWrite(file, failed);
    },
  };
}

function visible(line: string): string {
  return line.replace(
    controlCharacter,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

/** The end of a text, at least so many characters of it. */
class LastText {
  private before = "";
  private now = "";
  dropped = 0;

  constructor(private readonly most: number) {}

  add(text: string): void {
    this.now += text;
    if (this.now.length < this.most) return;
    this.dropped += this.before.length;
    this.before = this.now;
    this.now = "";
  }

  get text(): string {
    return this.before + this.now;
  }
}
