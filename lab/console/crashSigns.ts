/**
 * The messages that begin a crash report, as the kernel words them, and what they say. Pure.
 *
 * A sign counts at the start of a message only: a program that talks about a BUG, or one that dies of
 * a fault of its own ("traps: prog[12] general protection fault ip:…"), is no crash of the kernel.
 *
 * "kmemleak: 3 new suspected memory leaks" is none: it does not say whose they are (kmemleak.ts does).
 *
 * Wordings: kernel/{panic,hung_task,watchdog,reboot}.c, kernel/rcu/tree_stall.h, kernel/sched/core.c,
 * kernel/locking/lockdep.c, kernel/kcsan/report.c, lib/{bug,ubsan,list_debug}.c,
 * arch/x86/kernel/{dumpstack,traps}.c, arch/x86/mm/fault.c, mm/{slub,oom_kill,page_alloc}.c,
 * mm/{kasan,kfence,kmsan}/report.c; QEMU's accel/kvm/kvm-all.c.
 */
import type { CrashKind } from "./crashReport.ts";

export interface CrashSign {
  readonly kind: CrashKind;
  readonly cause: string;
  /**
   * `opens`: a report of its own. `continues`: the next part of one that has begun, if one has.
   * `refines`: the better name of one that has begun. `single`: all that is said is this message.
   */
  readonly role: "opens" | "continues" | "refines" | "single";
}

type Rule = readonly [
  pattern: RegExp,
  kind: CrashKind,
  /** `$1` and `$2` stand for what the pattern took. */
  cause: string,
  role?: CrashSign["role"],
];

const tainted = String.raw`\((?:Tainted|Not tainted)[^)]*\)`;

const rules: readonly Rule[] = [
  [/^BUG: kernel NULL pointer dereference/, "oops", "null pointer dereference"],
  [/^BUG: unable to handle kernel NULL pointer/, "oops", "null pointer dereference"],
  [/^BUG: unable to handle/, "oops", "page fault"],
  [/^BUG: (?:TASK |IRQ )?stack guard page was hit/, "stack-overflow", "stack overflow"],
  [/^(?:Oops: )?stack guard page: .*\[#\d+\]/, "stack-overflow", "stack overflow", "continues"],
  // Until 5.15.
  [/^kernel stack overflow \(/, "stack-overflow", "stack overflow", "continues"],
  [/^(?:PANIC: |Oops: |traps: PANIC: )?double fault\b/, "oops", "double fault"],
  [
    /^(?:Oops: )?(general protection fault|invalid opcode|divide error|stack segment|segment not present|invalid TSS|alignment check|overflow|bounds|int3|coprocessor segment overrun)\b.*\[#\d+\]/,
    "oops",
    "$1",
    "continues",
  ],
  [/^(?:Oops: )+.*\[#\d+\]/, "oops", "oops", "continues"],
  // Of a general protection fault: KASAN's look at its shadow of the address came first.
  [/^KASAN: null-ptr-deref in range /, "oops", "null pointer dereference", "refines"],

  [
    /^(list_add|list_del) (?:double add|corruption)/,
    "list-corruption",
    "$1 corruption",
    "continues",
  ],
  [/^kernel BUG at /, "bug", "kernel BUG", "continues"],
  [
    /^WARNING: (possible .*|inconsistent lock state|bad unlock balance.*|bad contention.*|suspicious RCU usage|held lock freed!?|lock held .*|Nested lock .*|Invalid wait context)$/,
    "lockdep",
    "$1",
  ],
  [
    /^(?:INFO|BUG): (possible (?:recursive|circular|irq).*|trying to register non-static key|held lock freed|lock held when .*)/,
    "lockdep",
    "$1",
  ],
  [/^\[ BUG: (.*?)!? \]$/, "lockdep", "$1"],
  [/^WARNING: CPU: \d+ PID: \d+ at /, "warning", "warning", "continues"],
  // Newer kernels: "WARNING: drivers/x.c:12 at function+0x1/0x2, CPU#0: insmod/123".
  [/^WARNING: \S+:\d+ at /, "warning", "warning", "continues"],

  [/^(?:NMI )?watchdog: BUG: soft lockup - /, "soft-lockup", "soft lockup"],
  [/^BUG: soft lockup - /, "soft-lockup", "soft lockup"],
  [/^(?:NMI )?watchdog: (?:CPU\d+: )?Watchdog detected hard LOCKUP/, "hard-lockup", "hard lockup"],
  [/^(?:rcu: )?INFO: rcu\w* (?:self-)?detected (?:expedited )?stall/, "rcu-stall", "RCU stall"],
  [/^(?:rcu: )?INFO: rcu\w* self-detected/, "rcu-stall", "RCU stall"],
  [/^INFO: task .* blocked (?:for more than|in I\/O wait)/, "hung-task", "hung task"],
  [/^BUG: workqueue lockup/, "soft-lockup", "workqueue lockup"],
  [/^BUG: scheduling while atomic: /, "scheduling-while-atomic", "scheduling while atomic"],
  [/^BUG: sleeping function called from invalid/, "sleeping-in-atomic", "sleeping in atomic"],

  [/^BUG: KASAN: ([\w -]+?)(?: in | on |$)/, "kasan", "KASAN: $1"],
  [/^BUG: KFENCE: ([\w -]+?)(?: in |$)/, "kfence", "KFENCE: $1"],
  [/^BUG: KMSAN: ([\w -]+?)(?: in |$)/, "kmsan", "KMSAN: $1"],
  [/^BUG: KCSAN: ([\w -]+?)(?: in |$)/, "kcsan", "KCSAN: $1"],
  [/^UBSAN: ([\w -]+?)(?: in |$)/, "ubsan", "UBSAN: $1"],

  // Said before the report itself, where that is only of an "Object corrupt".
  [
    /^\[(\w[\w ]*)\] 0x[0-9a-f]+-0x[0-9a-f]+ @offset=/,
    "slab-corruption",
    "slab corruption: $1",
    "continues",
  ],
  [
    new RegExp(String.raw`^BUG \S+ ${tainted}: (.*)`),
    "slab-corruption",
    "slab corruption: $1",
    "continues",
  ],
  [/^BUG: Bad (page (?:state|map)|rss-counter state|page cache)/, "bad-page", "bad $1"],
  [/^.{1,40} invoked oom-killer: /, "out-of-memory", "out of memory"],

  [/^EXT4-fs error \(device vda\d*\)/, "root-disk-error", "error on the root disk: ext4", "single"],
  [
    /^EXT4-fs \(vda\d*\): Remounting filesystem read-only/,
    "root-disk-error",
    "error on the root disk: ext4",
    "single",
  ],
  [
    /^(?:Buffer )?I\/O error,? (?:on )?dev vda\b/,
    "root-disk-error",
    "I/O error on the root disk",
    "single",
  ],
  [/^reboot: (?:Restarting system|machine restart)/, "reboot", "the guest restarted", "single"],
  [/^reboot: (?:Power down|System halted)/, "reboot", "the guest shut down", "single"],
  [/^KVM internal error\. Suberror: (\d+)/, "emulator-error", "KVM internal error, suberror $1"],
  [/^(?:error: kvm run failed|KVM: entry failed)/, "emulator-error", "KVM: entry failed"],
  [/^qemu(?:-system-\w+)?: fatal: (.*)/, "emulator-error", "QEMU: $1"],

  // What has no rule of its own.
  [/^BUG: (.+)/, "bug", "BUG: $1"],
];

/*
 * The rules are tried only on what may begin a report: a log is gigabytes of lines that don't. One
 * word is not at the beginning.
 */
const maybe =
  /^(?:BUG|kernel (?:BUG|stack)|Oops|general|invalid|divide|stack|segment|alignment|overflow|bounds|int3|coproc|double|PANIC|traps: PANIC|list_|WARNING|INFO|\[ BUG|\[\w[\w ]{1,40}\] 0x|NMI|watchdog|rcu: INFO|KASAN|UBSAN|EXT4|Buffer|I\/O|reboot|KVM|error: kvm|qemu)|^.{1,40} invoked oom-killer: /;

/** What a message begins or continues; undefined for most. */
export function crashSign(text: string): CrashSign | undefined {
  if (!maybe.test(text)) return undefined;
  for (const [pattern, kind, cause, role = "opens"] of rules) {
    const match = pattern.exec(text);
    if (match === null) continue;
    const said = cause.replace(/\$(\d)/g, (_, group: string) => match[Number(group)] ?? "");
    return { kind, cause: stable(said), role };
  }
  return undefined;
}

/** What of a fault the kernel may say next, before the trace. */
const sequels: Readonly<Partial<Record<CrashKind, readonly CrashKind[]>>> = {
  oops: ["oops"],
  bug: ["oops"],
  "stack-overflow": ["stack-overflow", "oops"],
  "list-corruption": ["bug", "warning", "oops"],
  "slab-corruption": ["slab-corruption", "warning"],
};

/** Whether a sign is the next part of a report that began with another. */
export function isSequel(first: CrashSign, next: CrashSign): boolean {
  return next.role === "continues" && (sequels[first.kind]?.includes(next.kind) ?? false);
}

const panicPattern = /^Kernel panic - not syncing: ?(.*)/;

/** The reason of a panic, without what differs from one time to the next. */
export function panicReason(text: string): string | undefined {
  const match = panicPattern.exec(text);
  return match === null ? undefined : stable(match[1] ?? "");
}

const consequence =
  /^(?:Fatal exception|Fatal hardware|Oops|softlockup: hung tasks|hung_task: blocked tasks|Hard LOCKUP|RCU Stall|kernel: panic_on_warn|panic_on_warn|KASAN: panic_on_warn|\w+: panic_on_warn|Out of memory|System is deadlocked on memory|corrupted stack end|bad page)/;

/** Whether a panic is only how an earlier fault ended. */
export function isConsequence(reason: string): boolean {
  return consequence.test(reason);
}

const mostText = 200;

/** A text without addresses and numbers. */
export function stable(text: string): string {
  return text
    .slice(0, mostText)
    .replace(/\b0x[0-9a-f]+\b|\b[0-9a-f]{8,16}\b/gi, "ADDR")
    .replace(/(?<![\w.])\d+(?![\w.])|(?<=\w[:/#])\d+\b/g, "N")
    .trim();
}
