/**
 * Why a guest is not ready, as its console shows it. Pure.
 *
 * Wordings: the kernel's init/do_mounts.c, kernel/panic.c, mm/oom_kill.c; initramfs-tools; systemd's
 * emergency.service and its boot status; cloud-init's log lines; SeaBIOS.
 */
import { consoleLines } from "./consoleLines.ts";
import { milestoneOf } from "./bootProgress.ts";

export type NotReadyKind =
  | "no-output"
  | "no-boot-device"
  | "root-not-found"
  | "initrd-failed"
  | "kernel-panic"
  | "initramfs-shell"
  | "emergency-mode"
  | "powered-off"
  | "kernel-packages"
  | "kernel-crash"
  | "out-of-memory"
  | "kernel-stall"
  | "cloud-init-error"
  | "unit-failed"
  | "slow";

export interface NotReady {
  readonly kind: NotReadyKind;
  /** One sentence without a full stop. */
  readonly reason: string;
  /** Lines of the console that show it. */
  readonly evidence: readonly string[];
  /** Whether waiting longer is pointless. */
  readonly final: boolean;
}

interface Sign {
  readonly kind: NotReadyKind;
  readonly final: boolean;
  readonly pattern: RegExp;
  readonly reason: (match: RegExpExecArray) => string;
}

// In order of precedence: what explains more comes first.
const signs: readonly Sign[] = [
  {
    kind: "root-not-found",
    final: true,
    pattern: /VFS: Unable to mount root fs on (\S+)/,
    reason: (match) => `the kernel could not mount its root file system (${match[1] ?? ""})`,
  },
  {
    kind: "root-not-found",
    final: true,
    pattern: /ALERT! +(\S+) does not exist|initrd: no root disk (\S+)/,
    reason: (match) => `the initrd found no root disk ${match[1] ?? match[2] ?? ""}`,
  },
  {
    // The words of our own initrd (lab/image/initrd), whose end is a panic.
    kind: "initrd-failed",
    final: true,
    pattern: /^initrd: (.+)/,
    reason: (match) => `the initrd gave up: ${match[1] ?? ""}`,
  },
  {
    kind: "kernel-panic",
    final: true,
    pattern: /Kernel panic - not syncing: ?(.*)/,
    reason: (match) => `the kernel panicked: ${match[1] ?? ""}`,
  },
  {
    kind: "initramfs-shell",
    final: true,
    pattern: /^\(initramfs\)|Dropping to a shell|Entering emergency mode\. Exit the shell/i,
    reason: () => "the initrd gave up and opened a shell",
  },
  {
    kind: "emergency-mode",
    final: true,
    pattern: /You are in (emergency|rescue) mode|Reached target (emergency|rescue)\.target/,
    reason: (match) => `systemd stopped in ${match[1] ?? match[2] ?? ""} mode`,
  },
  {
    kind: "no-boot-device",
    final: true,
    pattern: /No bootable (?:device|option)|Boot failed: not a bootable disk/,
    reason: () => "the firmware found nothing to boot",
  },
  {
    kind: "powered-off",
    final: true,
    pattern: /reboot: (?:Power down|System halted)/,
    reason: () => "the guest shut itself down",
  },
  {
    // The words of guest/prepare-kernel.
    kind: "kernel-packages",
    final: false,
    pattern: /vexlab-kernel failed: (.+)/,
    reason: (match) => match[1] ?? "",
  },
  {
    kind: "kernel-crash",
    final: false,
    pattern:
      /kernel BUG at (.*)|BUG: ((?:KASAN|kernel NULL|unable to handle|scheduling).*)|(Oops: .*)/,
    reason: (match) => `the kernel crashed: ${match[1] ?? match[2] ?? match[3] ?? ""}`,
  },
  {
    kind: "out-of-memory",
    final: false,
    pattern: /Out of memory: Killed process \d+ \(([^)]*)\)/,
    reason: (match) => `the guest ran out of memory and killed ${match[1] ?? ""}`,
  },
  {
    kind: "kernel-stall",
    final: false,
    pattern: /(INFO: task \S+ blocked for more than \d+ seconds|soft lockup - CPU#\d+ stuck.*)/,
    reason: (match) => `the guest's kernel stalls: ${match[1] ?? ""}`,
  },
  {
    kind: "cloud-init-error",
    final: false,
    // The `[WARNING]` of cloud-init's log reaches the console for failed modules and bad user-data.
    pattern:
      /cloud-init\S*\[\d+\]: .*?(?:\[(?:ERROR|CRITICAL|WARNING)\]:|WARNING:|Traceback|failed run of stage) ?(.*)/,
    reason: (match) => `cloud-init reports: ${match[1] || match[0]}`,
  },
  {
    kind: "unit-failed",
    final: false,
    pattern: /\[FAILED\] Failed to (?:start|mount) (.*)/,
    reason: (match) => `a unit failed: ${(match[1] ?? "").replace(/\.$/, "")}`,
  },
];

const linesBefore = 5;
const linesAfter = 12;
const lastLines = 15;

/**
 * The best explanation that a console text gives. Only the last boot on it counts.
 */
export function whyNotReady(text: string): NotReady {
  const all = consoleLines(text);
  const lines = all.slice(
    Math.max(
      0,
      all.findLastIndex((line) => milestoneOf(line) === "kernel"),
    ),
  );
  if (lines.length === 0) {
    return {
      kind: "no-output",
      reason: "the guest has printed nothing on its console",
      evidence: [],
      final: false,
    };
  }
  for (const { kind, final, pattern, reason } of signs) {
    const index = lines.findIndex((line) => pattern.test(line));
    const match = pattern.exec(lines[index] ?? "");
    if (match === null) continue;
    return {
      kind,
      reason: reason(match).trim(),
      evidence: lines.slice(Math.max(0, index - linesBefore), index + linesAfter),
      final,
    };
  }
  const milestone = lines.map(milestoneOf).findLast((found) => found !== undefined);
  return {
    kind: "slow",
    reason:
      milestone === undefined
        ? "the guest has not come as far as its kernel"
        : `the guest has not come further than ${milestone}`,
    evidence: lines.slice(-lastLines),
    final: false,
  };
}

/** Whether a line shows that waiting longer is pointless. */
export function showsFinal(lines: readonly string[]): boolean {
  return lines.some((line) => signs.some(({ final, pattern }) => final && pattern.test(line)));
}
