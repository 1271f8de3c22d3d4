/**
 * Asks a kernel that has kmemleak which memory nothing points to any more, at the end of a suite. A leak
 * in which a module has a part is a crash report of the run; others are the kernel's own and are logged.
 */
import { distinct, type CrashReport } from "../console/crashReport.ts";
import { kmemleakReports } from "../console/kmemleak.ts";
import type { Guest, RunLog } from "./guest.ts";
import { loadedCode, notesFile, withNames } from "./moduleAddresses.ts";
import type { RunPlan } from "./plan.ts";

/** For two scans of an emulated guest's memory. */
const scansMs = 120_000;

const notesBegin = "vexlab: addresses";

// An object that is younger than five seconds is not told of (jiffies_min_age in mm/kmemleak.c), and a
// new one only by the second scan: the first notes its content, which may still change. After that it
// is forgotten, so that the next suite's are its own. An exit code of 9: kmemleak has turned itself off.
const script = `
file=/sys/kernel/debug/kmemleak
[ -e "$file" ] || mount -t debugfs debugfs /sys/kernel/debug
[ -e "$file" ] || exit 8
{ echo scan >"$file"; } 2>/dev/null || exit 9
sleep 5
{ echo scan >"$file"; } 2>/dev/null || exit 9
cat /proc/uptime "$file"
echo clear >"$file"
echo ${notesBegin}
cat ${notesFile} 2>/dev/null || true`;

/**
 * The leaks since the last time, one of each kind.
 * @throws GuestError when the guest does not answer
 */
export async function findLeaks(
  guest: Guest,
  plan: RunPlan,
  log: RunLog,
): Promise<readonly CrashReport[]> {
  log.write("asking kmemleak for memory that is lost");
  const { exitCode, stdout } = await guest.run(["sudo", "-n", "sh", "-c", script], {
    deadlineMs: scansMs * (plan.patience ?? 1),
  });
  if (exitCode !== 0) {
    log.write(
      exitCode === 9
        ? "kmemleak has turned itself off (the kernel's log says why): leaks are not noticed"
        : "the kernel has no kmemleak, or it can't be asked: leaks are not noticed",
    );
    return [];
  }
  const [text = "", notes = ""] = stdout.split(`${notesBegin}\n`);
  return leaksIn(withNames(text, await loadedCode(notes, plan)), log);
}

/** Pure part: the uptime, then what kmemleak says. */
export function leaksIn(text: string, log: RunLog): readonly CrashReport[] {
  const [uptime = "", ...rest] = text.split("\n");
  const reports = kmemleakReports(rest.join("\n"), Number.parseFloat(uptime));
  const isOfModule = ({ lines, module }: CrashReport): boolean =>
    module !== undefined || lines.some((line) => unnamed.test(line));
  for (const { title, lines } of reports.filter((each) => !isOfModule(each)))
    log.write(`lost by the kernel itself: ${title}\n${lines.join("\n")}`);
  return distinct(reports.filter(isOfModule));
}

/** An address of a module that is not loaded any more (arch/x86/include/asm/pgtable_64_types.h). */
const unnamed = /^ +\[<[0-9a-f]+>\] 0xffffffff[a-f][0-9a-f]{7}$/;
