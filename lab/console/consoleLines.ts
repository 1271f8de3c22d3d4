/**
 * Lines of a serial console: what a guest writes there is the kernel's, the firmware's and many
 * programs' output at once, with colours, cursor movements, progress shown by carriage returns, and
 * sometimes bytes that are no text at all.
 */

/** Longer lines are cut: a guest that prints no newline must not fill the memory. */
const longestLine = 8192;

// CSI sequences (colours, cursor), OSC sequences (titles), other two-character escapes; ECMA-48.
const escapeSequence =
  // eslint-disable-next-line no-control-regex
  /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;
// eslint-disable-next-line no-control-regex
const controlCharacter = /[\u0000-\u0008\u000b-\u001f\u007f]/g;

/** Cuts console text into lines without control characters; chunks may be cut anywhere. */
export class ConsoleLines {
  private rest = "";

  /** The lines that this chunk completes, in order; empty ones are left out. */
  push(chunk: string): string[] {
    const parts = (this.rest + chunk).split(/\r\n|\n|\r(?!$)/);
    const rest = parts.pop() ?? "";
    // Whether a carriage return at the end of the chunk ends the line, the next chunk tells.
    this.rest =
      rest.slice(0, longestLine) + (rest.length > longestLine && rest.endsWith("\r") ? "\r" : "");
    return parts.map(plain).filter((line) => line !== "");
  }

  /** The line that is not finished yet: a prompt, perhaps. */
  get partial(): string {
    return plain(this.rest);
  }
}

/** The lines of a whole console text, the unfinished last one included. */
export function consoleLines(text: string): string[] {
  const lines = new ConsoleLines();
  const whole = lines.push(text);
  return lines.partial === "" ? whole : [...whole, lines.partial];
}

function plain(line: string): string {
  return line
    .slice(0, longestLine)
    .replace(escapeSequence, "")
    .replace(controlCharacter, "")
    .trimEnd();
}
