/**
 * The first lines of kernel crash reports, as printk writes them in the kernel log and on the
 * console, and the report that follows such a line. Pure.
 *
 * A sign counts only at the start of a message (of the line, or right after printk's timestamp): a
 * program that talks about a BUG, or a process that dies of a general protection fault in user space
 * ("traps: prog[12] general protection fault ip:…"), is no crash of the kernel.
 */

const messageStart = String.raw`(?:^|\[\s*\d+\.\d+\](?:\[[^\]]*\])?\s+)`;

// Wordings: kernel/panic.c, lib/bug.c, arch/x86/kernel/{dumpstack,traps}.c, mm/kasan/report.c, mm/kfence.
const sign = new RegExp(
  messageStart +
    String.raw`(?:` +
    [
      String.raw`Kernel panic - not syncing`,
      String.raw`(?:watchdog: )?BUG: `,
      String.raw`kernel BUG at `,
      String.raw`Oops\b.*\[#\d+\]`,
      String.raw`(?:general protection fault|invalid opcode|divide error|stack segment)\b.*\[#\d+\]`,
      String.raw`WARNING: CPU: \d+ PID: \d+`,
      // Newer kernels: "WARNING: drivers/x.c:12 at function+0x1/0x2, CPU#0: insmod/123".
      String.raw`WARNING: \S+:\d+ at `,
      String.raw`UBSAN: `,
      String.raw`double fault: `,
    ].join("|") +
    ")",
);
const panic = new RegExp(`${messageStart}Kernel panic - not syncing`, "m");
const endOfReport = /---\[ end (?:trace|Kernel panic)/;

/** Lines of one report that are kept; a stack trace with registers and modules has about 60. */
const longestReport = 70;
const mostEvidence = 300;

/** Whether a line of the kernel log begins a crash report. */
export function isCrashSign(line: string): boolean {
  return sign.test(line);
}

/** Whether a console text shows a panic, after which the guest answers no more. */
export function showsPanic(text: string): boolean {
  return panic.test(text.replaceAll("\r", ""));
}

/** The crash reports in a kernel log or console text, line by line; empty when there is none. */
export function crashEvidence(text: string): string[] {
  const evidence: string[] = [];
  let left = 0;
  for (const line of text.replaceAll("\r", "").split("\n")) {
    if (isCrashSign(line)) left = longestReport;
    if (left === 0) continue;
    evidence.push(line);
    left = endOfReport.test(line) ? 0 : left - 1;
    if (evidence.length >= mostEvidence) break;
  }
  return evidence;
}

/** The first crash sign without its timestamp, to be named in a sentence. */
export function crashTitle(evidence: readonly string[]): string | undefined {
  const line = evidence.find(isCrashSign);
  return line?.replace(/^.*?\[\s*\d+\.\d+\](?:\[[^\]]*\])?\s+/, "").trim();
}
