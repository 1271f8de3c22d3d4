import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { crashReports } from "../../../../lab/console/crashParser.ts";
import { hangDump, hasHangDump } from "../../../../lab/console/hangDump.ts";

const recorded = readFileSync("test/fixtures/hang/uninterruptible-wait.log", "utf8");

describe("what the kernel does while it hangs", () => {
  it("is the task that waits in a module, and what else it said, without registers", () => {
    const dump = hangDump(recorded);
    expect(dump?.title).toBe(
      "insmod (pid 317, state D) waits in fault_uninterruptible_wait [faults]",
    );
    expect(dump?.lines).toContain(" fault_uninterruptible_wait+0x11/0x20 [faults]");
    expect(dump?.lines).toContain("processor 1: systemd-journal (pid 115) outside of the kernel");
    expect(dump?.lines.at(-1)).toBe("memory: 1796 MiB of 2047 MiB free");
    expect(dump?.lines.join("\n")).not.toMatch(/sysrq|RSP|usleep_range/);
    expect(dump?.frames.every(({ reliable }) => reliable)).toBe(true);
  });

  it("is no crash", () => {
    expect(crashReports(recorded)).toEqual([]);
  });

  it("does not grow with a second answer", () => {
    expect(hangDump(recorded + recorded)?.lines).toEqual(hangDump(recorded)?.lines);
  });

  it("is the processor that a module keeps, when nothing waits", () => {
    const text = [
      "[    5.0] sysrq: Show Blocked State",
      "[    5.0] sysrq: Show backtrace of all active CPUs",
      "[    5.0] NMI backtrace for cpu 0 skipped: idling at native_halt+0xe/0x10",
      "[    5.0] NMI backtrace for cpu 1",
      "[    5.0] CPU: 1 PID: 31 Comm: insmod Not tainted 6.1.0 #1",
      "[    5.0] RIP: 0010:hello_spin+0x5/0x10 [hello]",
      "[    5.0]  hello_init+0x5/0x10 [hello]",
    ].join("\r\n");
    expect(hangDump(text)).toMatchObject({
      title: "processor 1: insmod (pid 31) in hello_spin [hello]",
      lines: [
        "processor 1: insmod (pid 31) in hello_spin [hello]",
        "RIP: 0010:hello_spin+0x5/0x10 [hello]",
        " hello_init+0x5/0x10 [hello]",
        "1 idle processor",
      ],
    });
  });

  it("says when nothing in the kernel waits", () => {
    expect(hangDump("[    5.0] sysrq: Show Blocked State\n")).toEqual({
      title: "no task waits in the kernel",
      lines: [],
      frames: [],
    });
  });

  it("is nothing when the kernel has not answered", () => {
    expect(hangDump("[    5.0] sysrq: HELP : loglevel(0-9)\n")).toBeUndefined();
    expect(hasHangDump("hello\nsysrq is a key\n")).toBe(false);
  });
});
