/** The memory of a guest that crashed or hung, kept with the run's results for a debugger. */
import { join } from "node:path";
import writeFileAtomic from "write-file-atomic";
import { LabError } from "../config/errors.ts";
import { coreScript } from "../debug/coreScript.ts";
import { readKallsyms } from "../debug/loadedModule.ts";
import { kernelSymbolFile, parseKallsyms } from "../debug/symbolFile.ts";
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
  const { libvirtUri, domain, folder, tree, modules, progress, log, signal } = keep;
  const name = join(folder, `memory-${number}`);
  const core = `${name}.core`;
  const step = progress.step("keeping the guest's memory");
  try {
    const bytes = await dumpMemory(libvirtUri, domain, core, dumpMs, signal);
    const open = await openingOf();
    const mib = `${Math.ceil(bytes / 2 ** 20)} MiB`;
    log.write(`the guest's memory, ${mib}: ${core}\nopen it: ${open}`);
    step.done(mib);
    return { file: core, bytes, open };
  } catch (error) {
    if (!(error instanceof LabError || error instanceof RangeError) && !signal?.aborted)
      throw error;
    const { message } = error as Error;
    step.failed(message);
    log.write(`the guest's memory is not kept: ${message}`);
    return undefined;
  }

  async function openingOf(): Promise<string> {
    const kernel = `${name}.vmlinux`;
    const script = `${name}.gdb`;
    if (kallsyms === "") return `gdb --core ${core}`;
    await writeFileAtomic(kernel, kernelSymbolFile(parseKallsyms(kallsyms)));
    await writeFileAtomic(script, coreScript({ kernel, core, tree, modules }));
    return `gdb -x ${script}`;
  }
}
