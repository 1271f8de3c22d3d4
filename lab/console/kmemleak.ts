/**
 * What /sys/kernel/debug/kmemleak holds, as crash reports (Documentation/dev-tools/kmemleak.rst,
 * print_unreferenced in mm/kmemleak.c). Pure.
 */
import type { CrashReport } from "./crashReport.ts";
import { frameAtFault, moduleAtFault, stackFrame, type StackFrame } from "./stackFrames.ts";

const objectBegins = /^unreferenced object 0x[0-9a-f]+ \(size (\d+)\):/;
const age = /\(age (\d+\.\d+)s\)/;

/**
 * A report for each object that is lost.
 * @param now seconds since the boot when the file was read, from which its ages count
 */
export function kmemleakReports(text: string, now?: number): CrashReport[] {
  const objects: string[][] = [];
  for (const line of text.split("\n"))
    if (objectBegins.test(line)) objects.push([line]);
    else if (line.trim() !== "") objects.at(-1)?.push(line);
  return objects.map((lines) => reportOf(lines, now));
}

function reportOf(lines: readonly string[], now: number | undefined): CrashReport {
  const frames = lines
    .map((line) => stackFrame(line))
    .filter((frame): frame is StackFrame => frame !== undefined);
  // Who lost it is the module, whichever of the kernel's functions it had allocate for it.
  const atFault = frames.find((frame) => frame.module !== undefined) ?? frameAtFault(frames);
  const module = moduleAtFault(frames, atFault);
  const seconds = Number(lines.map((line) => age.exec(line)?.[1]).find(Boolean));
  const time = now === undefined || Number.isNaN(seconds) ? undefined : now - seconds;
  const place =
    atFault === undefined
      ? ""
      : ` in ${atFault.function}${atFault.module === undefined ? "" : ` [${atFault.module}]`}`;
  return {
    kind: "kmemleak",
    cause: "memory leak",
    title: `memory leak${place}`,
    ...(atFault !== undefined && { function: atFault.function }),
    ...(module !== undefined && { module }),
    ...(time !== undefined && { time }),
    lines,
    frames,
  };
}
