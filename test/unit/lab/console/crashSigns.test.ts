import { describe, expect, it } from "vitest";
import {
  crashSign,
  isConsequence,
  panicReason,
  stable,
} from "../../../../lab/console/crashSigns.ts";

describe("signs of a crash", () => {
  it.each([
    ["BUG: kernel NULL pointer dereference, address: 0000000000000000", "oops"],
    ["BUG: unable to handle page fault for address: ffffc8deadbee000", "oops"],
    ["BUG: unable to handle kernel paging request at ffffc8de", "oops"],
    ["Oops: 0002 [#1] PREEMPT SMP NOPTI", "oops"],
    ["Oops: Oops: 0002 [#1] PREEMPT SMP NOPTI", "oops"],
    ["Oops: divide error: 0000 [#1] PREEMPT SMP NOPTI", "oops"],
    ["general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP", "oops"],
    ["invalid opcode: 0000 [#1] PREEMPT SMP", "oops"],
    ["stack segment: 0000 [#2] SMP", "oops"],
    ["double fault: 0000 [#1] PREEMPT SMP NOPTI", "oops"],
    ["kernel BUG at fs/inode.c:1234!", "bug"],
    ["BUG: using smp_processor_id() in preemptible [00000000] code: insmod/12", "bug"],
    ["WARNING: CPU: 1 PID: 376 at /mnt/hello.c:14 w+0x60/0x61 [hello]", "warning"],
    ["WARNING: fs/inode.c:12 at drop+0x1/0x2, CPU#0: rm/12", "warning"],
    ["watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [insmod:12]", "soft-lockup"],
    ["BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 48s!", "soft-lockup"],
    ["watchdog: Watchdog detected hard LOCKUP on cpu 1", "hard-lockup"],
    ["NMI watchdog: Watchdog detected hard LOCKUP on cpu 0", "hard-lockup"],
    ["watchdog: CPU0: Watchdog detected hard LOCKUP on cpu 1", "hard-lockup"],
    ["rcu: INFO: rcu_preempt self-detected stall on CPU", "rcu-stall"],
    ["rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", "rcu-stall"],
    ["rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 0-... }", "rcu-stall"],
    ["INFO: task insmod:315 blocked for more than 120 seconds.", "hung-task"],
    ["BUG: scheduling while atomic: insmod/315/0x00000002", "scheduling-while-atomic"],
    ["BUG: sleeping function called from invalid context at mm/x.c:1", "sleeping-in-atomic"],
    ["list_add corruption. next->prev should be prev (ffff), but was ffff.", "list-corruption"],
    ["list_del corruption, ffff->next is LIST_POISON1 (dead000000000100)", "list-corruption"],
    ["BUG kmalloc-64 (Tainted: G           OE     ): Right Redzone overwritten", "slab-corruption"],
    ["BUG kmalloc-64 (Not tainted): Poison overwritten", "slab-corruption"],
    ["BUG: Bad page state in process insmod  pfn:12345", "bad-page"],
    ["BUG: TASK stack guard page was hit at 0000000012345678", "stack-overflow"],
    ["insmod invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0", "out-of-memory"],
    ["BUG: KASAN: slab-out-of-bounds in vexfs_write+0x1/0x2 [vexfs]", "kasan"],
    ["BUG: KFENCE: use-after-free read in f+0x1/0x2", "kfence"],
    ["BUG: KMSAN: uninit-value in f+0x1/0x2", "kmsan"],
    ["BUG: KCSAN: data-race in a / b", "kcsan"],
    ["UBSAN: array-index-out-of-bounds in fs/x.c:1:2", "ubsan"],
    ["WARNING: possible circular locking dependency detected", "lockdep"],
    ["WARNING: possible recursive locking detected", "lockdep"],
    ["WARNING: inconsistent lock state", "lockdep"],
    ["WARNING: suspicious RCU usage", "lockdep"],
    ["[ BUG: Invalid wait context ]", "lockdep"],
    ["INFO: trying to register non-static key.", "lockdep"],
    ["EXT4-fs error (device vda): ext4_lookup:1: comm sh", "root-disk-error"],
    ["I/O error, dev vda, sector 12 op 0x1:(WRITE)", "root-disk-error"],
    ["Buffer I/O error on dev vda, logical block 1, lost async page write", "root-disk-error"],
    ["reboot: Restarting system", "reboot"],
    ["reboot: Power down", "reboot"],
    ["KVM internal error. Suberror: 1", "emulator-error"],
    ["qemu: fatal: Trying to execute code outside RAM or ROM at 0x1", "emulator-error"],
  ])("%s", (text, kind) => {
    expect(crashSign(text)?.kind).toBe(kind);
  });

  it.each([
    "traps: prog[12] general protection fault ip:7f sp:7f error:0 in libc.so.6[7f+1]",
    "traps: prog[12] trap divide error ip:7f sp:7f error:0",
    "prog[12]: segfault at 0 ip 00 sp 00 error 4",
    "Spectre V2 : WARNING: Unprivileged eBPF is enabled",
    "hello: loading out-of-tree module taints kernel.",
    "ok 3 a test for BUG: reports",
    "kernel command line: oops=panic panic=1",
    "EXT4-fs error (device vdb): ext4_lookup:1: comm sh",
    "I/O error, dev vdb, sector 12 op 0x1:(WRITE)",
    "Oops",
    "WARNING: the configuration is old",
  ])("not %s", (text) => {
    expect(crashSign(text)).toBeUndefined();
  });
});

describe("a panic", () => {
  it("has a reason that is the same each time", () => {
    expect(
      panicReason("Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b"),
    ).toBe("Attempted to kill init! exitcode=ADDR");
    expect(panicReason("echo Kernel panic - not syncing: x")).toBeUndefined();
  });

  it.each([
    ["Fatal exception in interrupt", true],
    ["softlockup: hung tasks", true],
    ["kernel: panic_on_warn set ...", true],
    ["sysrq triggered crash", false],
    ["VFS: Unable to mount root fs on unknown-block(0,0)", false],
  ])("%s: follows from another fault: %s", (reason, follows) => {
    expect(isConsequence(reason)).toBe(follows);
  });
});

describe("texts that are to be compared", () => {
  it.each([
    ["object at ffff8c46fda203e0 and 0xdead", "object at ADDR and ADDR"],
    ["CPU#3 stuck for 22s", "CPU#N stuck for 22s"],
    ["task insmod:315 in kworker/1:2", "task insmod:N in kworker/N:N"],
    ["ext4 and vexfs2 on 6.1", "ext4 and vexfs2 on 6.1"],
  ])("%s", (text, compared) => {
    expect(stable(text)).toBe(compared);
  });
});
