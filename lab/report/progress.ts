/**
 * Progress for a person: lines on stderr, each with the seconds since the verb began. Only whole
 * lines are written and the cursor is never moved, so a log file, a pipe and Pulumi's diagnostic
 * column show the same as a terminal.
 */
import picocolors from "picocolors";

/** A piece of work under way. Exactly one of `done` and `failed` is called, once. */
export interface Step {
  /** The work succeeded; the note says what came out of it. */
  done(note?: string): void;
  /** The work failed; the note says why in a few words. */
  failed(note?: string): void;
}

export interface Progress {
  /** Announces a piece of work. Steps that begin while it is open are shown below it, indented. */
  step(name: string): Step;
  /** A line of detail under the innermost open step. Text with several lines becomes several. */
  line(text: string): void;
}

/** "0.4 s", "12.3 s", "2 min 05 s". */
export function formatDuration(milliseconds: number): string {
  const tenths = Math.round(milliseconds / 100);
  if (tenths < 600) return `${(tenths / 10).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
}

// What a guest prints may hold escape sequences that would move the cursor or recolour the terminal; some
// terminals take U+0080 to U+009F for the two characters that such a sequence begins with (ECMA-48, 5.3).
// Characters that turn the direction of writing show a text in another order (UAX #9, 2).
const controlCharacters =
  // eslint-disable-next-line no-control-regex
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** The text without escape sequences and control characters other than tab and newline. */
export function printable(text: string): string {
  return text.replace(controlCharacters, "");
}

/** Progress on a stream; colours only where the stream is a terminal and NO_COLOR is unset. */
export const terminalProgress = (stream: NodeJS.WritableStream = process.stderr): Progress => {
  const isTerminal = "isTTY" in stream && stream.isTTY === true;
  const colours = picocolors.createColors(isTerminal && picocolors.isColorSupported);
  const began = performance.now();
  const open: symbol[] = [];

  const write = (text: string, depth: number): void => {
    const elapsed = `${((performance.now() - began) / 1000).toFixed(1)}s`;
    const prefix = colours.dim(`[${elapsed.padStart(7)}]`);
    stream.write(`${prefix} ${"  ".repeat(depth)}${text}\n`);
  };

  return {
    step(name) {
      const id = Symbol(name);
      const depth = open.length;
      const stepBegan = performance.now();
      write(name, depth);
      open.push(id);
      const close = (outcome: string, note: string | undefined): void => {
        const index = open.indexOf(id);
        if (index < 0) return;
        open.splice(index, 1);
        const took = colours.dim(` (${formatDuration(performance.now() - stepBegan)})`);
        write(`${name}: ${outcome}${note ? `, ${printable(note)}` : ""}${took}`, depth);
      };
      return {
        done: (note) => close(colours.green("done"), note),
        failed: (note) => close(colours.red("failed"), note),
      };
    },
    line(text) {
      for (const line of printable(text).replace(/\n$/, "").split("\n")) write(line, open.length);
    },
  };
};

/** Progress of one of several pieces of work at once: each line begins with its name. */
export function named(progress: Progress, name: string): Progress {
  const line = (text: string): void => {
    for (const each of text.replace(/\n$/, "").split("\n")) progress.line(`${name}: ${each}`);
  };
  return {
    step(what) {
      const began = performance.now();
      let open = true;
      const close = (outcome: string) => (note?: string) => {
        if (!open) return;
        open = false;
        const took = formatDuration(performance.now() - began);
        line(`${what}: ${outcome}${note ? `, ${note}` : ""} (${took})`);
      };
      return { done: close("done"), failed: close("failed") };
    },
    line,
  };
}

/** Says nothing: for callers that show progress by other means, and for tests. */
export const silentProgress: Progress = {
  step: () => ({ done: () => undefined, failed: () => undefined }),
  line: () => undefined,
};
