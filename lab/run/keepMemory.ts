/** The memory of a guest that crashed or hung, kept with the run's results for a debugger. */
import { join } from "node:path";
import writeFileAtomic from "write-file-atomic";
import { LabError } from "../config/errors.ts";
import { coreScript } from "../debug/coreScript.ts";
import { textAt } from "../debug/coreText.ts";
import { readKallsyms } from "../debug/loadedModule.ts";
import { kernelSymbolFile, parseKallsyms, type KernelSymbol } from "../debug/symbolFile.ts";
import { GuestError } from "../guest/session.ts";
import { dumpMemory } from "../hypervisor/memoryDump.ts";
import type { Progress } from "../report/progress.ts";
import type { Guest, RunLog } from "./guest.ts";
import type { MemoryDump } from "./verdict.ts";

export interface KeepMemory {
  readonly libvirtUri: string;
  readonly domain: string;
  /** The folder of the run's results. */
  readonly folder: string;
  /** The built tree, and the modules with debug information in it, by their names in the kernel. */
  readonly tree: string;
  readonly modules: ReadonlyMap<string, string>;
  readonly progress: Progress;
  readonly log: RunLog;
  readonly signal?: AbortSignal | undefined;
}

/** Milliseconds for a dump; QEMU writes a gigabyte in some seconds. */
const dumpMs = 180_000;

/** A guest whose memory can be kept; what a debugger has to know of its kernel is asked now. */
export async function rememberKernel(
  guest: Guest,
  { progress, log }: Pick<KeepMemory, "progress" | "log">,
): Promise<string> {
  const step = progress.step("reading the kernel's symbols, for a dump of its memory");
  try {
    const text = await readKallsyms(guest);
    step.done();
    return text;
  } catch (error) {
    step.failed();
    if (!(error instanceof LabError || error instanceof GuestError)) throw error;
    log.write(`the kernel's symbols can't be read: ${error.message}`);
    return "";
  }
}

/** Writes the memory, and how to open it; undefined when that can't be done, and why is told. */
export async function keepMemory(
  keep: KeepMemory,
  kallsyms: string,
  number: number,
): Promise<MemoryDump | undefined> {
  const { folder, progress, log, signal } = keep;
  const step = progress.step("keeping the guest's memory");
  try {
    const dump = await writeMemory(keep, kallsyms, join(folder, `memory-${number}`));
    const mib = mebibytes(dump);
    log.write(`the guest's memory, ${mib}: ${dump.file}\nopen it: ${dump.open}`);
    step.done(mib);
    return dump;
  } catch (error) {
    if (!(error instanceof LabError || error instanceof RangeError) && !signal?.aborted)
      throw error;
    const { message } = error as Error;
    step.failed(message);
    log.write(`the guest's memory is not kept: ${message}`);
    return undefined;
  }
}

/** "266 MiB": the room that a dump takes. */
export const mebibytes = ({ bytes }: MemoryDump): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;

type Written = Pick<KeepMemory, "libvirtUri" | "domain" | "tree" | "modules" | "signal">;

/**
 * Writes the memory, and what a debugger needs beside it.
 * @param kallsyms the kernel's symbols; empty when they are not known
 * @param name what the files are called, before their last dot
 * @throws LabError when it can't be written; RangeError for symbols or paths that are of no use
 */
export async function writeMemory(
  { libvirtUri, domain, tree, modules, signal }: Written,
  kallsyms: string,
  name: string,
): Promise<MemoryDump> {
  const [core, kernel, script] = [`${name}.core`, `${name}.vmlinux`, `${name}.gdb`];
  const bytes = await dumpMemory(libvirtUri, domain, core, dumpMs, signal);
  if (kallsyms === "" || !(await isOf(core, parseKallsyms(kallsyms))))
    return { file: core, bytes, open: `gdb --core ${core}` };
  await writeFileAtomic(kernel, kernelSymbolFile(parseKallsyms(kallsyms)));
  await writeFileAtomic(script, coreScript({ kernel, core, tree, modules }));
  return { file: core, bytes, open: `gdb -x ${script}` };
}

/** Whether the kernel in the memory has these addresses: they are other ones after each boot. */
async function isOf(core: string, symbols: readonly KernelSymbol[]): Promise<boolean> {
  const banner = symbols.find(({ name }) => name === "linux_banner");
  // A kernel whose list has no data (CONFIG_KALLSYMS_ALL) can't be asked.
  if (banner === undefined) return true;
  return (await textAt(core, banner.address, 256))?.startsWith("Linux version ") ?? false;
}
