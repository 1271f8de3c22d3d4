/**
 * What the guest's kernel noticed by itself: its log, its taint flags, its list of modules. A run
 * goes from checkpoint to checkpoint; each tells what happened since the one before.
 */
import { crashReports } from "../console/crashParser.ts";
import { bareReport, type CrashReport } from "../console/crashReport.ts";
import { kernelReleaseIn } from "../guest/kernelRelease.ts";
import { GuestError, type CommandResult } from "../guest/session.ts";
import type { Guest } from "./guest.ts";

/** Milliseconds for a small command in the guest; one takes under 1 s even in emulation. */
export const smallCommandMs = 30_000;

/** What the kernel said since the previous checkpoint. */
export interface KernelState {
  /** As `uname -r` says it. */
  readonly release: string;
  readonly lines: readonly string[];
  /** Bits of /proc/sys/kernel/tainted. */
  readonly taint: number;
  /** Names in /proc/modules. */
  readonly modules: ReadonlySet<string>;
  readonly crashes: readonly CrashReport[];
  /** Seconds since the boot, by the clock of the kernel's log. */
  readonly time?: number;
}

const warned = 9;
const markerBegins = "vexlab: ";

/*
 * Flags that say the kernel is no longer sound; the others (out-of-tree module, no signature,
 * staging driver …) only describe what is loaded.
 * Documentation/admin-guide/tainted-kernels.rst, "Table for decoding tainted state".
 */
const crashTaints: readonly (readonly [bit: number, meaning: string])[] = [
  [5, "B: a bad page was found or page flags were unexpected"],
  [7, "D: the kernel died recently, by an oops or BUG"],
  [warned, "W: the kernel issued a warning"],
  [14, "L: a soft lockup occurred"],
];

/** Whether the flags say that the kernel died, locked up or lost track of its memory at some time. */
export function isBrokenTaint(taint: number): boolean {
  return crashTaints.some(([bit]) => bit !== warned && (taint & (1 << bit)) !== 0);
}

// One command, and the shell's own means where they do, because each process costs an emulated guest
// some 50 ms. (dash reads one byte at a time, of which a file of /proc/sys gives only the first.)
//
// Writes the new marker, prints release, taint, a line of module names, then, when there is an old marker,
// what the kernel log holds after it (all of it when that has been overwritten) up to the new one; with
// priorities, which tell the kernel's own words from a program's. (What dmesg 2.38 gives as raw when it
// reads /dev/kmsg is not the priority: so by syslog(2).) The first time, it lets the keyboard ask
// the kernel what it does, for when nothing else in the guest answers, and an oops be a panic.
const script = `
echo "$2" >/dev/kmsg
cat /proc/sys/kernel/osrelease /proc/sys/kernel/tainted
while read -r name rest; do printf '%s ' "$name"; done </proc/modules
echo
if [ -z "$1" ]; then
  { echo 1 >/proc/sys/kernel/sysrq; } 2>/dev/null
  [ -z "$3" ] || echo 1 >/proc/sys/kernel/panic_on_oops
  exit 0
fi
dmesg --syslog --raw | awk -v since="$1" -v until="$2" '
  index($0, since) { n = 0; next }
  { line[n++] = $0 }
  index($0, until) { exit }
  END { for (i = 0; i < n; i++) print line[i] }'`;

/** Follows one guest's kernel through a run. */
export class KernelWatch {
  private marker = "";
  private taint = 0;
  private count = 0;

  private constructor(
    private readonly guest: Guest,
    private readonly runId: string,
    private readonly panicOnOops: boolean,
  ) {}

  /**
   * Begins: whatever the kernel has seen so far is no concern of this run.
   * @param options.panicOnOops whether from now on an oops ends in a panic; otherwise that stays as it is
   */
  static async begin(
    guest: Guest,
    runId: string,
    options: { readonly panicOnOops?: boolean | undefined } = {},
  ): Promise<{ watch: KernelWatch; state: KernelState }> {
    const watch = new KernelWatch(guest, runId, options.panicOnOops ?? false);
    const state = await watch.checkpoint("begins");
    return { watch, state };
  }

  /**
   * What happened since the previous checkpoint.
   * @param next what comes now, for the marker in the kernel log.
   * @throws GuestError when the guest does not answer.
   */
  async checkpoint(next: string): Promise<KernelState> {
    const marker = `${markerBegins}${this.runId} ${++this.count}: ${next}`;
    const { stdout } = await this.ask(this.marker, marker);
    const state = parseKernelState(stdout, this.marker === "" ? undefined : this.taint);
    this.marker = marker;
    this.taint = state.taint;
    return state;
  }

  private async ask(since: string, marker: string): Promise<CommandResult> {
    const words = [since, marker, this.panicOnOops ? "panic" : ""];
    try {
      return await this.guest.run(["sudo", "-n", "sh", "-c", script, "sh", ...words], {
        deadlineMs: smallCommandMs,
      });
    } catch (error) {
      if (!(error instanceof GuestError) || error.fault !== "deadline") throw error;
      // The script is no text for people.
      const message = `it did not tell its kernel's state within ${smallCommandMs / 1000} s`;
      throw new GuestError("deadline", message, undefined, { cause: error });
    }
  }
}

/**
 * Pure part of a checkpoint.
 * @param taintBefore undefined when there is no checkpoint before: then nothing is evidence.
 */
export function parseKernelState(text: string, taintBefore: number | undefined): KernelState {
  const [releaseLine = "", taintLine = "", modulesLine = "", ...log] = text
    .replace(/\n$/, "")
    .split("\n");
  const release = kernelReleaseIn(releaseLine);
  const taint = Number.parseInt(taintLine, 10) || 0;
  const modules = new Set(modulesLine.split(" ").filter((name) => name !== ""));
  const isMarker = (line: string): boolean => line.includes(markerBegins);
  const lines = log.filter((line) => !isMarker(line)).map((line) => line.replace(/^<\d+>/, ""));
  if (taintBefore === undefined) return { release, lines, taint, modules, crashes: [] };
  const tainted = crashTaints
    .filter(([bit]) => (taint & (1 << bit)) !== 0 && (taintBefore & (1 << bit)) === 0)
    .map(([, meaning]) => bareReport("taint", `the kernel became tainted, ${meaning}`));
  const reports = crashReports(log.join("\n"));
  const time = Number(/\[ *(\d+\.\d+)\]/.exec(log.findLast(isMarker) ?? "")?.[1]);
  return {
    ...{ release, lines, taint, modules },
    // What a report explains needs no flag.
    crashes: reports.length > 0 ? reports : tainted,
    ...(Number.isFinite(time) && { time }),
  };
}
