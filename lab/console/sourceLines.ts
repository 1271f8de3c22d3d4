/**
 * Source lines of a crash's frames: what to ask addr2line, and what its answer means. Pure.
 *
 * A module is a relocatable file: an address in it is one of a section, the symbol's value plus the
 * frame's offset. A frame that isn't the instruction itself holds where a call returns to, so the call
 * is the byte before.
 */
import { frameAtFault, type StackFrame } from "./stackFrames.ts";
import type { CrashReport } from "./crashReport.ts";

/** Where a function's code is in a module file. */
export interface CodeSymbol {
  readonly name: string;
  readonly section: string;
  readonly value: number;
}

/** One place of code in a module file. */
export interface CodePlace {
  readonly section: string;
  readonly address: number;
}

/** Where a frame is; undefined when the module has no such symbol, or several. */
export function placeOf(frame: StackFrame, symbols: readonly CodeSymbol[]): CodePlace | undefined {
  const [symbol, ...others] = symbols.filter(({ name }) => name === frame.symbol);
  if (symbol === undefined || others.length > 0) return undefined;
  const back = frame.instruction || frame.offset === 0 ? 0 : 1;
  return { section: symbol.section, address: symbol.value + frame.offset - back };
}

/** addr2line's arguments (binutils) for places in one section of a file. */
export function addr2lineArguments(
  file: string,
  section: string,
  addresses: readonly number[],
): string[] {
  const words = addresses.map((address) => `0x${address.toString(16)}`);
  return ["-a", "-i", "-e", file, "-j", section, ...words];
}

/**
 * What addr2line says: `file:line` by address, files below `root` relative to it. Of functions that
 * were inlined into each other, the innermost in the module's own sources counts.
 */
export function parseAddr2line(output: string, root: string): Map<number, string> {
  const found = new Map<number, string>();
  let address: number | undefined;
  let own = false;
  for (const line of output.split("\n")) {
    if (/^0x[0-9a-f]+$/.test(line)) {
      address = Number.parseInt(line, 16);
      own = false;
      continue;
    }
    const match = /^(.+):(\d+)(?: \(discriminator \d+\))?$/.exec(line);
    if (address === undefined || match === null || match[2] === "0") continue;
    const [, file = "", number = ""] = match;
    const isOwn = file.startsWith(`${root}/`);
    if (found.has(address) && (own || !isOwn)) continue;
    own = isOwn;
    found.set(address, `${isOwn ? file.slice(root.length + 1) : file}:${number}`);
  }
  return found;
}

/** `file:line` of the function at fault; undefined when it isn't known. */
export function sourceAtFault({ frames }: CrashReport): string | undefined {
  return frameAtFault(frames)?.source;
}

/** The report's lines, frames with their source lines. */
export function decodedLines({ lines, frames }: Pick<CrashReport, "lines" | "frames">): string[] {
  const sources = new Map(
    frames.flatMap(({ text, source }) => (source === undefined ? [] : [[text, source] as const])),
  );
  return lines.map((line) => {
    const source = sources.get(line);
    return source === undefined ? line : `${line} ${source}`;
  });
}
