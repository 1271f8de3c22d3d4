/** `vexlab dump [stack]`: the memory of a stack's guest as a file, and the commands that open it. */
import { mkdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { resultsFolder } from "../lab/build/results.ts";
import { cancellable } from "../lab/config/cancellation.ts";
import { ExitCode, LabError } from "../lab/config/errors.ts";
import { places } from "../lab/config/places.ts";
import { loadedModules, newestModules, readKallsyms } from "../lab/debug/loadedModule.ts";
import { GuestSession } from "../lab/guest/session.ts";
import { virsh } from "../lab/hypervisor/virsh.ts";
import { jsonText } from "../lab/report/json.ts";
import { terminalProgress, type Progress } from "../lab/report/progress.ts";
import { timestampName } from "../lab/report/results.ts";
import { mebibytes, writeMemory } from "../lab/run/keepMemory.ts";
import { moduleName } from "../lab/run/moduleOrder.ts";
import type { MemoryDump } from "../lab/run/verdict.ts";
import { forkBase, startSibling } from "../lab/warm/sibling.ts";
import { imageOf } from "../lab/warm/stackGuest.ts";
import { knownGuest } from "./knownGuest.ts";
import { stackConfig } from "./testOnce.ts";

/** Milliseconds until a guest counts as one that does not answer. */
const connectMs = 15_000;

type Place = Awaited<ReturnType<typeof knownGuest>>;

/** What a debugger has to know of a guest. */
interface Known {
  /** Empty: nobody could tell. */
  readonly kallsyms: string;
  readonly tree: string;
  readonly modules: ReadonlyMap<string, string>;
}

export function register(program: Command): void {
  program
    .command("dump")
    .argument("[stack]", "the stack whose guest it is", "dev")
    .description("keep the memory of a guest, also of one that hangs, for gdb or crash")
    .option("--json", "print the result as JSON")
    .action(async (stack: string, { json }: { readonly json?: true }) => {
      const dump = await cancellable((signal) => dumpOf(stack, terminalProgress(), signal));
      const { open, crash, file } = dump;
      const text = `memory of the guest, ${mebibytes(dump)}: ${file}\n${open}\n${crash}\n`;
      process.stdout.write(json ? `${jsonText(dump)}\n` : text);
    });
}

async function dumpOf(
  stack: string,
  progress: Progress,
  signal: AbortSignal,
): Promise<MemoryDump & { readonly crash: string }> {
  const place = await knownGuest(stack);
  const { libvirtUri, domain } = place;
  const state = (await virsh(libvirtUri, ["domstate", domain])).trim();
  if (state === "shut off")
    throw new LabError(
      `the guest of stack ${stack} is not up: it has no memory`,
      ExitCode.usage,
      `Start it: npm run up -- ${stack}`,
    );
  const { kernelRelease } = await imageOf(place);
  const known =
    (state === "running" ? await told(place, stack, progress) : undefined) ??
    (await guessed(place, stack, progress, signal));
  const folder = join(places().results, `${timestampName(new Date())}-${stack}-dump`);
  // All that was in the guest's memory is in it.
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const step = progress.step("writing the guest's memory; it stands still meanwhile");
  try {
    const written = { libvirtUri, domain, signal, tree: known.tree, modules: known.modules };
    const dump = await writeMemory(written, known.kallsyms, join(folder, "memory"));
    step.done(mebibytes(dump));
    if (!dump.open.startsWith("gdb -x"))
      progress.line("the kernel's symbols are not known: gdb shows addresses only");
    const crash = `crash /usr/lib/debug/boot/vmlinux-${kernelRelease} ${dump.file}`;
    return { ...dump, crash };
  } catch (error) {
    step.failed();
    await rmdir(folder).catch(() => undefined);
    if (error instanceof RangeError)
      throw new LabError(error.message, ExitCode.infrastructureFailed);
    throw error;
  }
}

/** What the guest itself says; undefined when it does not answer. */
async function told(place: Place, stack: string, progress: Progress): Promise<Known | undefined> {
  const step = progress.step("asking the guest for its kernel's symbols");
  try {
    const guest = await GuestSession.connect(place.address, { deadlineMs: connectMs });
    try {
      const kallsyms = await readKallsyms(guest);
      const loaded = await loadedModules(guest, resultsFolder(stack, places()));
      step.done();
      return { kallsyms, ...byName(loaded) };
    } finally {
      guest.close();
    }
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    step.failed("it does not answer");
    return undefined;
  }
}

/**
 * What holds for another guest of the same saved one, whose kernel lies at the same addresses; and the
 * newest build, since nobody says which one is loaded.
 */
async function guessed(
  place: Place,
  stack: string,
  progress: Progress,
  signal: AbortSignal,
): Promise<Known> {
  const builds = resultsFolder(stack, places());
  const modules = byName(await newestModules(builds));
  const { warm } = await stackConfig(stack);
  if (warm !== "auto") return { kallsyms: "", ...modules };
  const step = progress.step("asking a fork of the same saved guest instead");
  try {
    const fork = await startSibling(await forkBase(place, builds, progress, signal), signal);
    try {
      const kallsyms = await readKallsyms(fork.guest);
      step.done();
      return { kallsyms, ...modules };
    } finally {
      await fork.remove();
    }
  } catch (error) {
    step.failed();
    if (signal.aborted || !(error instanceof LabError)) throw error;
    progress.line(error.message);
    return { kallsyms: "", ...modules };
  }
}

interface Built {
  readonly tree: string;
  readonly modules: readonly { readonly file: string }[];
}

/** Modules by the names that the kernel gives them. */
function byName(built: Built | undefined): Omit<Known, "kallsyms"> {
  const { tree, modules } = built ?? { tree: "", modules: [] };
  return {
    tree,
    modules: new Map(modules.map(({ file }) => [moduleName(file), join(tree, file)])),
  };
}
