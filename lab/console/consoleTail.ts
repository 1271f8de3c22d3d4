/**
 * What a console has shown since some moment, where its file may have got full meanwhile: virtlogd
 * then goes on in a new file, and the full one is FILE.0.
 */
import type { Stats } from "node:fs";
import { openIfAny, statIfAny } from "./consoleFile.ts";

/** A place in a console. */
export interface ConsoleMark {
  /** The file that it is in; undefined: there was none. */
  readonly identity: string | undefined;
  readonly size: number;
}

/** A new file often gets the inode of one that was just removed, but not its time of birth. */
const identityOf = ({ ino, birthtimeMs }: Stats): string => `${ino} ${birthtimeMs}`;

/** The console's end as it is now. */
export async function consoleMark(file: string): Promise<ConsoleMark> {
  const found = await statIfAny(file);
  if (found === undefined) return { identity: undefined, size: 0 };
  return { identity: identityOf(found), size: found.size };
}

/** The last bytes of what has come since the mark, at most so many. */
export async function consoleSince(file: string, mark: ConsoleMark, most: number): Promise<string> {
  const now = await part(file, mark, most);
  // Where the file is still the same, the full one is of before the mark.
  const left = most - now.content.length;
  if (now.identity === mark.identity || now.identity === undefined || left === 0)
    return now.content.toString("utf8");
  const full = await part(`${file}.0`, mark, left);
  return Buffer.concat([full.content, now.content]).toString("utf8");
}

/** The end of a file, but nothing before the mark. */
async function part(
  path: string,
  mark: ConsoleMark,
  most: number,
): Promise<{ readonly identity: string | undefined; readonly content: Buffer }> {
  const file = await openIfAny(path);
  if (file === undefined) return { identity: undefined, content: Buffer.alloc(0) };
  try {
    const found = await file.stat();
    const identity = identityOf(found);
    const { size } = found;
    // A smaller file was begun anew: the guest was started again.
    const begin = identity === mark.identity && size >= mark.size ? mark.size : 0;
    const from = Math.max(begin, size - most);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, null, from);
    return { identity, content: buffer.subarray(0, bytesRead) };
  } finally {
    await file.close();
  }
}
