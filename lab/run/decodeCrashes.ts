/**
 * The source lines of crashes, by the debug information of the very modules that ran: addr2line of the
 * image's own root file system reads it, in the build's sandbox.
 */
import { readFile } from "node:fs/promises";
import { relative } from "node:path";
import { execa } from "execa";
import { elfSection, elfSymbols } from "../build/elf.ts";
import { sandboxArguments } from "../build/hostBuild.ts";
import { buildMount } from "../build/steps.ts";
import type { StackFrame } from "../console/stackFrames.ts";
import { addr2lineArguments, parseAddr2line, placeOf } from "../console/sourceLines.ts";
import type { RunLog } from "./guest.ts";

export interface DebugFiles {
  /** The built tree; source lines are relative to its root. */
  readonly folder: string;
  /** Module files in it by the module's name. */
  readonly modules: ReadonlyMap<string, string>;
  /** The image's root file system as a folder. */
  readonly sysroot: string;
}

/** Reading a large module's debug information takes seconds. */
const addr2lineMs = 60_000;

/**
 * The reports, with source lines in the frames of the modules under test. What can't be had is said in
 * the log: a crash without source lines is a crash.
 */
export async function decodeCrashes<T extends { readonly frames: readonly StackFrame[] }>(
  reports: readonly T[],
  files: DebugFiles,
  log: RunLog,
): Promise<T[]> {
  const frames = reports.flatMap((report) => report.frames);
  const sources = new Map<string, string>();
  for (const [name, file] of files.modules) {
    const own = frames.filter(({ module }) => module === name);
    if (own.length === 0) continue;
    try {
      for (const [frame, source] of await sourcesOf(own, file, files)) sources.set(frame, source);
    } catch (error) {
      const why = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
      log.write(`no source lines of module ${name}: ${why}`);
    }
  }
  const decoded = (frame: StackFrame): StackFrame => {
    const source = sources.get(keyOf(frame));
    return source === undefined ? frame : { ...frame, source };
  };
  return reports.map((report) => ({ ...report, frames: report.frames.map(decoded) }));
}

const keyOf = ({ module = "", symbol, offset, instruction }: StackFrame): string =>
  `${module} ${symbol} ${offset} ${instruction}`;

/** Source lines by the key of a frame. @throws Error when the debug information can't be read */
async function sourcesOf(
  frames: readonly StackFrame[],
  file: string,
  { folder, sysroot }: DebugFiles,
): Promise<Map<string, string>> {
  const content = await readFile(file);
  if (elfSection(content, ".debug_info") === undefined)
    throw new Error("it was built without debug information");
  const symbols = elfSymbols(content);
  const places = frames.flatMap((frame) => {
    const place = placeOf(frame, symbols);
    return place === undefined ? [] : [{ ...place, key: keyOf(frame) }];
  });
  const found = new Map<string, string>();
  for (const section of new Set(places.map((place) => place.section))) {
    const inSection = places.filter((place) => place.section === section);
    const addresses = [...new Set(inSection.map(({ address }) => address))];
    const argv = addr2lineArguments(relative(folder, file), section, addresses);
    const step = { name: "addr2line", folder: buildMount, failsCleanly: true };
    const { stdout } = await execa(
      "bwrap",
      sandboxArguments(sysroot, folder, { ...step, argv: ["addr2line", ...argv] }),
      { stdin: "ignore", timeout: addr2lineMs },
    );
    const lines = parseAddr2line(stdout, buildMount);
    for (const { address, key } of inSection) {
      const source = lines.get(address);
      if (source !== undefined) found.set(key, source);
    }
  }
  return found;
}
