/**
 * How a failed command is told: `<what happened>: running "<command>":` and on the next lines all
 * that it printed. Tools parse this, so it has the form that users of Pulumi know.
 */
import { constants } from "node:os";

/**
 * The most that an error may take, in bytes of its percent-encoded form: it travels in an HTTP/2
 * header, and nghttp2 (Node's HTTP/2) gives up on a block of headers above 64 KiB, without an error
 * for the other side.
 */
export const errorLimit = 48 * 1024;
const commandLimit = 8 * 1024;

/** How a process ended. */
export interface Ending {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class CommandFailure extends Error {
  override readonly name = "CommandFailure";

  constructor(
    /** Such as `exit status 1`. */
    what: string,
    command: string,
    /** stdout and stderr in the order of their arrival. */
    output: string,
  ) {
    const start = `${what}: running ${quoted(command)}`;
    const shown = encodedLength(start) <= commandLimit ? start : `${what}: running a long command`;
    super(`${shown}:\n${lastPart(output, errorLimit - encodedLength(shown))}`);
  }
}

/** `exit status 3`, `signal: killed`; undefined for success. */
export function endingText({ exitCode, signal }: Ending): string | undefined {
  if (exitCode === 0) return undefined;
  if (signal === null) return `exit status ${exitCode ?? "unknown"}`;
  const number = constants.signals[signal];
  return `signal: ${signalTexts[number] ?? `signal ${number}`}`;
}

// The words of strsignal(3) on Linux in the lower case that Go's programs print.
const signalTexts: Readonly<Record<number, string>> = {
  1: "hangup",
  2: "interrupt",
  3: "quit",
  4: "illegal instruction",
  5: "trace/breakpoint trap",
  6: "aborted",
  7: "bus error",
  8: "floating point exception",
  9: "killed",
  10: "user defined signal 1",
  11: "segmentation fault",
  12: "user defined signal 2",
  13: "broken pipe",
  14: "alarm clock",
  15: "terminated",
};

const escapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
};

/** The text in double quotes, with escapes for what can't be printed (Go's `%q`). */
export function quoted(text: string): string {
  const escaped = text.replace(/["\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, (character) => {
    const short = escapes[character];
    if (short !== undefined) return short;
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x80) return `\\x${code.toString(16).padStart(2, "0")}`;
    if (code < 0x10000) return `\\u${code.toString(16).padStart(4, "0")}`;
    return `\\U${code.toString(16).padStart(8, "0")}`;
  });
  return `"${escaped}"`;
}

/** As much of the output's end as fits, after a line that says so. */
function lastPart(output: string, limit: number): string {
  // One character takes at least one byte, so no more of them can matter.
  const characters = Array.from(output.slice(-limit)).filter((character) => !isHalf(character));
  let room = limit - 100;
  let first = characters.length;
  while (first > 0 && (room -= encodedLength(characters[first - 1] ?? "")) >= 0) first--;
  const kept = characters.slice(first).join("");
  const left = output.length - kept.length;
  return left === 0 ? kept : `(the first ${left} characters are left out)\n${kept}`;
}

function encodedLength(text: string): number {
  return encodeURI(text).length;
}

/** Half of a surrogate pair, from a cut in the middle of a character. */
function isHalf(character: string): boolean {
  return /^[\ud800-\udfff]$/.test(character);
}
