import { describe, expect, it } from "vitest";
import {
  crashEvidence,
  crashTitle,
  isCrashSign,
  showsPanic,
} from "../../../../lab/console/crashSigns.ts";

describe("signs of a crash", () => {
  it.each([
    "[  579.384416] BUG: kernel NULL pointer dereference, address: 0000000000000000",
    "[   12.1] BUG: KASAN: slab-out-of-bounds in vexfs_write+0x1/0x2 [vexfs]",
    "[   12.1][  T376] BUG: sleeping function called from invalid context",
    "[   28.0] watchdog: BUG: soft lockup - CPU#0 stuck for 22s!",
    "[  579.410816] Oops: 0002 [#1] PREEMPT SMP NOPTI",
    "[   12.1] general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP",
    "[   12.1] kernel BUG at fs/inode.c:1234!",
    "[   12.1] invalid opcode: 0000 [#1] PREEMPT SMP",
    "[   12.1] WARNING: CPU: 1 PID: 376 at /mnt/hello.c:14 w+0x60/0x61 [hello]",
    "[   12.1] WARNING: fs/inode.c:12 at drop+0x1/0x2, CPU#0: rm/12",
    "[   12.1] UBSAN: array-index-out-of-bounds in fs/x.c:1:2",
    "Kernel panic - not syncing: Fatal exception",
    "vexlab login: [   12.1] BUG: unable to handle page fault",
  ])("%s", (line) => {
    expect(isCrashSign(line)).toBe(true);
  });

  it.each([
    "[   12.1] traps: prog[12] general protection fault ip:7f sp:7f error:0 in libc.so.6[7f+1]",
    "[   12.1] prog[12]: segfault at 0 ip 00 sp 00 error 4",
    "[    0.1] Spectre V2 : WARNING: Unprivileged eBPF is enabled",
    "[   12.1] hello: loading out-of-tree module taints kernel.",
    "ok 3 a test for BUG: reports",
    "[    0.0] kernel command line: oops=panic panic=1",
  ])("not %s", (line) => {
    expect(isCrashSign(line)).toBe(false);
  });

  it("take their report with them, up to its end", () => {
    const report = [
      "[    2.0] BUG: unable to handle page fault",
      "[    2.0] Call Trace:",
      "[    2.0] ---[ end trace 0000000000000000 ]---",
    ];
    const text = ["[    1.0] before", ...report, "[    3.0] after"].join("\r\n");
    expect(crashEvidence(text)).toEqual(report);
    expect(crashTitle(report)).toBe("BUG: unable to handle page fault");
  });

  it("stop at a limit when a report never ends", () => {
    const text = ["[ 1.0] BUG: x", ...Array.from({ length: 500 }, (_, i) => `[ 1.0] line ${i}`)];
    expect(crashEvidence(text.join("\n"))).toHaveLength(70);
    const many = Array.from({ length: 500 }, () => "[ 1.0] BUG: x").join("\n");
    expect(crashEvidence(many)).toHaveLength(300);
  });

  it("know a panic from an oops", () => {
    expect(showsPanic("a\r\n[  9.1] Kernel panic - not syncing: x\r\n")).toBe(true);
    expect(showsPanic("[  9.1] Oops: 0002 [#1] SMP\n")).toBe(false);
    expect(showsPanic("echo Kernel panic - not syncing")).toBe(false);
  });
});
