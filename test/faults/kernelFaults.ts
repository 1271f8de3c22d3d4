/** Faults of the module under test. How the kernel is brought to notice them is in recordings.ts. */
import { onUbsan, type Expected, type Fault } from "./fault.ts";
import { insmod, recordings } from "./recordings.ts";

const quick = 40;

type Some = Partial<Fault>;

/** A fault that the kernel notices: a crash, at the function that makes it. */
const crash = (name: string, what: string, reason: RegExp, more: Some = {}): Fault => ({
  ...{ name, kind: "kernel", what, command: more.command ?? commandOf(name, more) },
  ...{ verdict: "crashed", reason, within: quick },
  ...more,
});

/** A fault that a stock kernel does not notice, or that is none. */
const other = (
  name: string,
  what: string,
  verdict: Expected["verdict"],
  reason: RegExp,
  more: Some = {},
): Fault => ({ ...crash(name, what, reason, more), verdict });

/** A fault that a stock kernel does not notice, and a kernel with sanitizers does. */
const silent = (name: string, what: string, reason: RegExp, withUbsan?: RegExp): Fault =>
  other(name, what, "passed", onePassed, {
    why: "only a kernel with sanitizers notices it: stack debug",
    on: {
      debug: { verdict: "crashed", reason },
      ...(withUbsan && onUbsan({ verdict: "crashed", reason: withUbsan })),
    },
  });

/** The reason of `wait-in-load` after so many seconds. */
const unloaded = (seconds: number): RegExp =>
  new RegExp(
    `^the guest hung during loading the module for suite wait-in-load: not finished after ${seconds} s`,
  );

/** The suite that makes the recorded fault of that name; or nothing, where loading the module does. */
function commandOf(name: string, { load }: Some): string[] {
  if (load !== undefined) return shell(name, "true");
  const recording = recordings.find((each) => each.name === name);
  if (recording === undefined) throw new Error(`recordings.ts has no fault ${name}`);
  const { command, settings = {} } = recording;
  const set = Object.entries(settings).map(([file, value]) => `echo ${value} >${file}`);
  return shell(name, [...set, command].join("; "));
}

function shell(name: string, words: string): string[] {
  return ["tests/fault.sh", name, words];
}

/** The whole reason of a crash: which case, what, in which function, in which line of the sources. */
const at = (cause: string, name: string, source: string): RegExp =>
  new RegExp(`case ".+": ${cause} in ${name} \\[faults\\] \\(modules/${source}:\\d+\\)$`);
const oops = (cause: string, name: string): RegExp => at(cause, name, "oops\\.c");

const nullPointer = oops("null pointer dereference", "fault_null_pointer");
const inCase = (name: string): RegExp =>
  new RegExp(`suite ${name}, case "${name}" hung: no result`);
const onePassed = /^1 case in 1 suite passed$/;
/** The processor, or the task, never comes back: only a deadline ends the suite. */
const stuck = { caseTimeout: 15, within: 110 };

const edited = (name: string, from: string, to: string): string[] =>
  shell(
    name,
    `LC_ALL=C sed 's/${from}/${to}/g' faults.ko >/tmp/edited.ko && insmod /tmp/edited.ko`,
  );

export const kernelFaults: readonly Fault[] = [
  crash("null-pointer", "null pointer dereference in init", nullPointer),
  crash("null-pointer-ioctl", "… in an ioctl", nullPointer),
  crash("null-pointer-work", "… in a workqueue", nullPointer),
  crash("null-pointer-exit", "… in exit, the suite unloads the module", nullPointer),
  crash(
    "null-pointer-unload",
    "… in exit, vexlab unloads the module",
    /during unloading the module after suite null-pointer-unload: null pointer dereference in fault_null_pointer \[faults\] \(modules\/oops\.c:\d+\)$/,
    { load: { fault: "null-pointer", at: "exit" } },
  ),
  crash(
    "null-pointer-load",
    "… in init, vexlab loads the module",
    /during loading the module for suite null-pointer-load: null pointer dereference in fault_null_pointer \[faults\] \(modules\/oops\.c:\d+\)$/,
    { load: { fault: "null-pointer" } },
  ),
  crash("null-pointer-panic", "… with panic_on_oops", nullPointer),
  crash("null-pointer-memory", "… and its memory is kept, for a debugger", nullPointer, {
    command: shell("null-pointer-memory", insmod("null-pointer")),
    inMemory: /module faults at 0xf+c[^]*fault_null_pointer \+ \d+ .*modules\/oops\.c:\d+/,
    within: 60,
  }),
  crash(
    "page-fault",
    "reads an address that is not mapped",
    oops("page fault", "fault_page_fault"),
  ),
  crash(
    "general-protection",
    "reads an address that can't be one",
    oops("general protection fault", "fault_general_protection"),
  ),
  crash(
    "invalid-opcode",
    "executes what is no instruction",
    oops("invalid opcode", "fault_invalid_opcode"),
  ),
  crash("divide-error", "divides by zero", oops("divide error", "fault_divide_error")),
  crash("bug", "BUG_ON()", at("kernel BUG", "fault_bug", "report\\.c")),
  crash("warn", "WARN_ON()", at("warning", "fault_warn", "report\\.c")),
  crash("warn-text", "WARN() with a text", at("warning", "fault_warn_text", "report\\.c")),
  crash("warn-panic", "WARN_ON() with panic_on_warn", at("warning", "fault_warn", "report\\.c")),
  crash("two-warnings", "two WARN()s, one after the other", /: warning in fault_warn \[faults\]/),
  crash(
    "panic",
    "panic()",
    /case "panic": panic: fault: nothing goes any more, code N( \(modules\/report\.c:\d+\))?$/,
  ),
  crash(
    "panic-unannounced",
    "… without the driver of the panic device",
    /case "panic-unannounced": panic: fault: nothing goes any more, code N( \(modules\/report\.c:\d+\))?$/,
    {
      command: shell(
        "panic-unannounced",
        `{ rmmod pvpanic_mmio || rmmod pvpanic; } && ${insmod("panic")}`,
      ),
    },
  ),
  crash("list-add-twice", "adds an entry to a list twice", /list_add corruption in fault_list_add/),
  crash("list-del-twice", "removes an entry twice", /list_del corruption in fault_list_del/),
  crash(
    "slab-overrun",
    "writes beyond the end of an object",
    at("slab corruption: Right Redzone overwritten", "fault_slab_overrun", "slab\\.c"),
  ),
  crash(
    "double-free",
    "frees an object twice",
    /slab corruption: .* in fault_double_free \[faults\]/,
  ),
  crash(
    "use-after-free",
    "writes to an object that was freed",
    /slab corruption: Poison overwritten in fault_use_after_free \[faults\]/,
  ),
  crash(
    "kmalloc-double-free",
    "frees kmalloc()'s memory twice",
    at("slab corruption: Object already free", "fault_kmalloc_double_free", "slab\\.c"),
  ),
  crash(
    "kmalloc-overrun",
    "writes beyond the end of kmalloc()'s memory",
    at(
      "slab corruption: (?:Right|kmalloc) Redzone overwritten",
      "fault_kmalloc_overrun",
      "slab\\.c",
    ),
    { command: shell("kmalloc-overrun", insmod("kmalloc-overrun")) },
  ),
  crash(
    "kmalloc-use-after-free",
    "writes to kmalloc()'s memory that was freed, the kernel then looks at all of it",
    /slab corruption: Poison overwritten/,
    {
      why: "named is who got the object next; who freed it is in the report's lines",
      command: shell(
        "kmalloc-use-after-free",
        `${insmod("kmalloc-use-after-free")}; for each in /sys/kernel/slab/kmalloc-*64/validate; do echo 1 >$each; done`,
      ),
    },
  ),
  crash(
    "leak",
    "destroys a cache with an object in it",
    /slab corruption: Objects remaining.* fault_leak/,
  ),
  silent(
    "kmalloc-leak",
    "loses kmalloc()'s memory",
    /memory leak in fault_kmalloc_leak \[faults\]/,
  ),
  silent(
    "lock-order",
    "takes two locks as AB, then as BA, with nobody else there",
    /possible circular locking dependency detected in fault_lock_order \[faults\]/,
  ),
  silent(
    "read-beyond",
    "reads a byte behind an object, within the slab's padding",
    /KASAN: slab-out-of-bounds in fault_read_beyond \[faults\]/,
  ),
  silent(
    "read-freed",
    "reads memory that was freed",
    /KASAN: (?:slab-)?use-after-free in fault_read_freed \[faults\]/,
  ),
  silent(
    "read-beyond-stack",
    "reads a byte behind an array on the stack",
    /KASAN: stack-out-of-bounds in fault_read_beyond_stack \[faults\]/,
    /UBSAN: array-index-out-of-bounds in fault_read_beyond_stack \[faults\]/,
  ),
  silent(
    "read-beyond-global",
    "reads a byte behind an array of the module",
    /KASAN: global-out-of-bounds in fault_read_beyond_global \[faults\]/,
    /UBSAN: array-index-out-of-bounds in fault_read_beyond_global \[faults\]/,
  ),
  crash(
    "stack-overflow",
    "recursion without end",
    /case "stack-overflow": stack overflow in fault_stack_overflow_deeper \[faults\]/,
    {
      ...stuck,
      on: {
        "6.12": { verdict: ["hung", "crashed"], reason: /stack-overflow/ },
        "7.2": { verdict: ["hung", "crashed"], reason: /stack-overflow/ },
      },
      why: "6.12 and 7.2 say nothing when their stack overflows in an emulated guest, and do not answer; the panic device may",
    },
  ),
  crash("out-of-memory", "takes all memory", /out of memory in fault_out_of_memory \[faults\]/, {
    within: 150,
  }),
  crash("soft-lockup", "endless loop, not preemptible", /soft lockup in fault_soft_lockup/, stuck),
  crash("soft-lockup-panic", "… with softlockup_panic", /soft lockup in fault_soft_lockup/, stuck),
  other("endless-loop", "endless loop that is preemptible", "hung", inCase("endless-loop"), {
    ...stuck,
    why: "nothing is wrong in the kernel's eyes; the module stays for ever",
  }),
  other("hard-lockup", "endless loop with interrupts off", ["hung", "crashed"], /hard-lockup/, {
    ...stuck,
    why: "the detector needs a performance counter, which emulation lacks; RCU notices if the grace period is kept by the other processor",
  }),
  crash("rcu-stall", "a read-side critical section without end", /in fault_rcu_stall \[faults\]/, {
    ...stuck,
    on: { "5.10": { verdict: "hung", reason: inCase("rcu-stall") } },
    why: "5.10 has no preemptible RCU: to give the processor away ends the section",
  }),
  crash(
    "scheduling-while-atomic",
    "sleeps with preemption off",
    /scheduling while atomic in fault_scheduling_while_atomic \[faults\]/,
    {
      on: { "5.10": { verdict: "passed", reason: onePassed } },
      why: "5.10 does not count who has switched preemption off (CONFIG_PREEMPT_COUNT)",
    },
  ),
  silent(
    "sleeping-in-atomic",
    "takes a free mutex with preemption off",
    /sleeping in atomic in fault_sleeping_in_atomic \[faults\]/,
  ),
  crash(
    "deadlock",
    "two threads, two mutexes, AB and BA",
    /hung task in take_[ab]_then_[ab]/,
    stuck,
  ),
  crash(
    "uninterruptible-wait",
    "waits for ever in insmod, in state D",
    /hung task in fault_uninterruptible_wait/,
    stuck,
  ),
  other(
    "wait-unnoticed",
    "… before the kernel's own limit of two minutes",
    "hung",
    inCase("wait-unnoticed"),
    { ...stuck, caseTimeout: 10, command: shell("wait-unnoticed", insmod("uninterruptible-wait")) },
  ),
  other("wait-in-load", "… in insmod, vexlab loads the module", "hung", unloaded(60), {
    load: { fault: "uninterruptible-wait" },
    within: 150,
    on: onUbsan({ verdict: "hung", reason: unloaded(72) }),
  }),
  crash(
    "hung-task",
    "a thread of the module waits for ever",
    /hung task in fault_uninterrupt/,
    stuck,
  ),
  crash(
    "hung-task-panic",
    "… with hung_task_panic",
    /hung task in fault_uninterruptible_wait/,
    stuck,
  ),
  other("init-error", "init returns an error, the suite loads it", "failed", /"init-error" failed/),
  other(
    "init-error-load",
    "init returns an error, vexlab loads it",
    "load-failed",
    /^the module was not loaded: insmod: .*: Input\/output error/,
    { load: { fault: "init-error" } },
  ),
  // With versions of symbols, the kernel's release is not compared, the rest of the word is.
  other(
    "wrong-vermagic",
    "built for another kernel (the copy that is loaded was edited)",
    "failed",
    /"wrong-vermagic" failed/,
    {
      command: edited("wrong-vermagic", " SMP ", " XMP "),
    },
  ),
  other(
    "missing-symbol",
    "needs a symbol that no kernel has (edited, too)",
    "failed",
    /"missing-symbol" failed/,
    {
      command: edited("missing-symbol", "misc_register", "misc_regilter"),
    },
  ),
  other("taint", "not signed, not in the kernel's tree", "passed", onePassed, {
    command: shell(
      "taint",
      "insmod faults.ko && [ $(($(cat /proc/sys/kernel/tainted) & 12288)) != 0 ]",
    ),
    why: "the flags O and E only say what is loaded",
  }),
  other("printk-flood", "twenty thousand lines in the kernel's log", "passed", onePassed, {
    within: 120,
    why: "it is allowed, though the log's older lines are lost",
  }),
  crash("reboot", "restarts the machine", /case "reboot": the guest restarted$/, stuck),
  crash("power-off", "switches the machine off", /case "power-off": the guest shut down$/, stuck),
  other("stop-timer", "stops the processors' timers", "hung", /stop-timer/, {
    command: shell("stop-timer", `${insmod("stop-timer")}; sleep 5`),
    caseTimeout: 15,
    within: 120,
  }),
  crash("sysrq-panic", "panics at a test's wish", /panic: sysrq triggered crash/),
  crash(
    "root-disk-error",
    "the root disk's file system has an error",
    /error on the root disk: ext4/,
  ),
  other("user-fault", "programs that the kernel kills for what they do", "passed", onePassed, {
    command: shell(
      "user-fault",
      "sh -c 'kill -SEGV $$'; python3 -c 'import ctypes; ctypes.string_at(1)'; true",
    ),
    why: "the programs crashed, not the kernel",
  }),
];
