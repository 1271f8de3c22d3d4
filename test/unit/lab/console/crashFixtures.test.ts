/**
 * What real kernels say of the faults of test/faults, and what is to be recognised in it. The logs are
 * made by test/faults/record; what is expected is written down here by hand.
 */
import { readFileSync, readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { crashReports } from "../../../../lab/console/crashParser.ts";
import type { CrashKind, CrashReport } from "../../../../lab/console/crashReport.ts";

interface Expected {
  readonly kind: CrashKind;
  readonly title: string;
  readonly function?: string;
  readonly module?: string;
  readonly panic?: string;
}

/** A fault in a function of the module, which the title names. */
function at(kind: CrashKind, cause: string, name: string, panic?: string): Expected {
  const more = panic === undefined ? {} : { panic };
  return { kind, title: `${cause} in ${name} [faults]`, function: name, module: "faults", ...more };
}
const nullPointer = at("oops", "null pointer dereference", "fault_null_pointer");
const hung = at("hung-task", "hung task", "fault_uninterruptible_wait");
const softLockup = at("soft-lockup", "soft lockup", "fault_soft_lockup");
const warning = at("warning", "warning", "fault_warn");
const slab = (what: string, name: string): Expected =>
  at("slab-corruption", `slab corruption: ${what}`, name);

/** By fault; none for what the kernel does not notice, or says itself to be no fault. */
const expected: Readonly<Record<string, readonly Expected[]>> = {
  "null-pointer": [nullPointer],
  "null-pointer-exit": [nullPointer],
  "null-pointer-ioctl": [nullPointer],
  "null-pointer-work": [nullPointer],
  "null-pointer-panic": [{ ...nullPointer, panic: "Fatal exception" }],
  "page-fault": [at("oops", "page fault", "fault_page_fault")],
  "general-protection": [at("oops", "general protection fault", "fault_general_protection")],
  "invalid-opcode": [at("oops", "invalid opcode", "fault_invalid_opcode")],
  "divide-error": [at("oops", "divide error", "fault_divide_error")],
  bug: [at("bug", "kernel BUG", "fault_bug")],
  warn: [warning],
  "warn-text": [at("warning", "warning", "fault_warn_text")],
  "warn-panic": [{ ...warning, panic: "kernel: panic_on_warn set ..." }],
  panic: [
    {
      kind: "panic",
      title: "panic: fault: nothing goes any more, code N",
      function: "fault_panic",
      module: "faults",
    },
  ],
  "init-error": [],
  "printk-flood": [],
  "soft-lockup": [softLockup],
  "soft-lockup-panic": [{ ...softLockup, panic: "softlockup: hung tasks" }],
  "hard-lockup": [],
  "rcu-stall": [
    at("warning", "warning", "fault_rcu_stall"),
    at("rcu-stall", "RCU stall", "fault_rcu_stall"),
  ],
  "endless-loop": [],
  "scheduling-while-atomic": [
    at("scheduling-while-atomic", "scheduling while atomic", "fault_scheduling_while_atomic"),
    { kind: "warning", title: "warning in do_one_initcall", function: "do_one_initcall" },
  ],
  "sleeping-in-atomic": [],
  "uninterruptible-wait": [hung],
  "hung-task": [hung],
  "hung-task-panic": [{ ...hung, panic: "hung_task: blocked tasks" }],
  deadlock: [
    at("hung-task", "hung task", "take_a_then_b"),
    at("hung-task", "hung task", "take_b_then_a"),
  ],
  "list-add-twice": [at("list-corruption", "list_add corruption", "fault_list_add_twice")],
  "list-del-twice": [at("list-corruption", "list_del corruption", "fault_list_del_twice")],
  "slab-overrun": [slab("Right Redzone overwritten", "fault_slab_overrun")],
  "double-free": [slab("Slab has N allocated objects but N are to be freed", "fault_double_free")],
  "use-after-free": [slab("Poison overwritten", "fault_use_after_free")],
  "kmalloc-double-free": [at("bug", "kernel BUG", "fault_kmalloc_double_free")],
  leak: [
    slab("Objects remaining in faults_object on __kmem_cache_shutdown()", "fault_leak"),
    at("warning", "warning", "fault_leak"),
  ],
  "kmalloc-leak": [],
  "stack-overflow": [at("stack-overflow", "stack overflow", "fault_stack_overflow_deeper")],
  reboot: [{ kind: "reboot", title: "the guest restarted" }],
  "power-off": [{ kind: "reboot", title: "the guest shut down" }],
  "stop-timer": [],
  "sysrq-panic": [
    { kind: "panic", title: "panic: sysrq triggered crash", function: "sysrq_handle_crash" },
  ],
  "two-warnings": [warning, at("warning", "warning", "fault_warn_text")],
  "two-processors": [nullPointer],
  "root-disk-error": [{ kind: "root-disk-error", title: "error on the root disk: ext4" }],
  "user-fault": [],
  imitation: [],
  "healthy-boot": [],
};

/** Later kernels don't say which cache it was. */
const leakOfSomeCache = [
  slab("Objects remaining on __kmem_cache_shutdown()", "fault_leak"),
  at("warning", "warning", "fault_leak"),
];
const kasan = (what: string, name: string): Expected => at("kasan", `KASAN: ${what}`, name);
const circular = (name: string): Expected =>
  at("lockdep", "possible circular locking dependency detected", name);

/** What is peculiar to a kernel. */
const peculiar: Readonly<Record<string, typeof expected>> = {
  "6.1": {},
  "6.12": {
    // The grace period of RCU happened to be kept by the other processor.
    "hard-lockup": [at("rcu-stall", "RCU stall", "fault_hard_lockup")],
    // It falls silent: there is nothing to be recognised.
    "stack-overflow": [],
    leak: leakOfSomeCache,
  },
  "5.10": {
    "double-free": [at("bug", "kernel BUG", "fault_double_free")],
    leak: [slab("Freechain corrupt", "fault_leak")],
    // A module can't ask for a red zone where the command line asks for none.
    "slab-overrun": [],
    // Without preemption nothing counts who is atomic, and schedule() ends a grace period.
    "scheduling-while-atomic": [],
    "rcu-stall": [],
  },
  "7.2-ubsan": {
    // Each processor keeps what was freed in a sheaf, without a look at it.
    "kmalloc-double-free": [],
    leak: leakOfSomeCache,
    // It falls silent.
    "stack-overflow": [],
  },
  "7.3-ubsan": {
    // Each processor keeps what was freed in a sheaf, without a look at it.
    "kmalloc-double-free": [],
    leak: leakOfSomeCache,
    "stack-overflow": [
      at(
        "stack-overflow",
        "stack overflow",
        "fault_stack_overflow_deeper",
        "Fatal exception in interrupt",
      ),
    ],
  },
  "6.1-kasan-kmemleak-lockdep": {
    "double-free": [kasan("double-free", "fault_double_free")],
    "kmalloc-double-free": [kasan("double-free", "fault_kmalloc_double_free")],
    "slab-overrun": [kasan("slab-out-of-bounds", "fault_slab_overrun")],
    "use-after-free": [kasan("use-after-free", "fault_use_after_free")],
    "read-beyond": [kasan("slab-out-of-bounds", "fault_read_beyond")],
    "read-beyond-global": [kasan("global-out-of-bounds", "fault_read_beyond_global")],
    "read-beyond-stack": [kasan("stack-out-of-bounds", "fault_read_beyond_stack")],
    "read-freed": [kasan("use-after-free", "fault_read_freed")],
    "sleeping-in-atomic": [
      at("sleeping-in-atomic", "sleeping in atomic", "fault_sleeping_in_atomic"),
    ],
    "lock-order": [circular("fault_lock_order")],
    deadlock: [circular("take_b_then_a"), ...(expected["deadlock"] ?? [])],
    // Not by the console: kmemleakReports.
    kmemleak: [],
  },
};
/** Of the others, what is most likely to differ: the beginnings of reports, and a boot. */
const recordedWhole = ["6.1", "6.12"];

const folder = new URL("../../../fixtures/console/", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, folder), "utf8");

const brief = ({ kind, title, module, panic, ...report }: CrashReport): Expected => ({
  ...{ kind, title },
  ...(report.function !== undefined && { function: report.function }),
  ...(module !== undefined && { module }),
  ...(panic !== undefined && { panic }),
});

describe.each(Object.keys(peculiar))("kernel %s", (kernel) => {
  const logs = readdirSync(new URL(`${kernel}/`, folder)).map((name) => name.replace(/\.log$/, ""));

  const expectedHere = { ...expected, ...peculiar[kernel] };

  it("has a log of each fault that is expected", () => {
    const all = [...Object.keys(expectedHere), "out-of-memory"];
    if (recordedWhole.includes(kernel)) expect(logs.toSorted()).toEqual(all.toSorted());
    else expect(all).toEqual(expect.arrayContaining(["healthy-boot", ...logs]));
  });

  it.each(logs.filter((fault) => fault in expectedHere))("%s", (fault) => {
    const text = read(`${kernel}/${fault}.log`);
    const series = kernel.split("-")[0] ?? "";
    expect(text).toMatch(new RegExp(`^# kernel ${series}\\.\\S+, fault ${fault}\\n`));
    expect(crashReports(text).map(brief)).toEqual(expectedHere[fault]);
  });

  // How many processes it kills is a matter of luck.
  it("out-of-memory", () => {
    const [first, ...others] = crashReports(read(`${kernel}/out-of-memory.log`));
    expect(first && brief(first)).toEqual(
      at("out-of-memory", "out of memory", "fault_out_of_memory"),
    );
    for (const other of others) expect(other.kind).toBe("out-of-memory");
  });

  if (recordedWhole.includes(kernel)) {
    it("keeps the whole trace", () => {
      const [report] = crashReports(read(`${kernel}/null-pointer-ioctl.log`));
      expect(report?.lines[0]).toBe(
        "BUG: kernel NULL pointer dereference, address: 0000000000000000",
      );
      expect(report?.lines.at(-1)).toBe("---[ end trace 0000000000000000 ]---");
      const reliable = report?.frames.filter((frame) => frame.reliable);
      expect(reliable?.slice(0, 4).map((frame) => frame.function)).toEqual([
        ...["fault_null_pointer", "make_fault", "faults_ioctl", "__x64_sys_ioctl"],
      ]);
    });
  }
});

it("logs of healthy and failed boots hold no crash but what happened", () => {
  const found = readdirSync(folder)
    .filter((name) => name.endsWith(".log"))
    .map((name) => [name, crashReports(read(name)).map(({ kind }) => kind)] as const);
  expect(Object.fromEntries(found)).toEqual({
    "cloud-init-error.log": [],
    "emergency-mode.log": [],
    "init-missing.log": ["panic"],
    "initramfs-shell.log": [],
    "initrd-no-root-disk.log": ["panic"],
    "out-of-memory.log": ["out-of-memory"],
    "root-not-mounted.log": ["panic"],
    "whole-boot.log": [],
  });
});
