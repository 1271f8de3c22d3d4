import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { kmemleakReports } from "../../../../lab/console/kmemleak.ts";

// The form of 6.1 (print_unreferenced in mm/kmemleak.c), and what is different in later kernels.
const lost = `unreferenced object 0xffff888105a5c000 (size 64):
  comm "insmod", pid 1234, jiffies 4294901234 (age 12.500s)
  hex dump (first 32 bytes):
    6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b  kkkkkkkkkkkkkkkk
    00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  ................
  backtrace:
    [<00000000a1b2c3d4>] kmalloc_trace+0x26/0x90
    [<00000000b1b2c3d4>] kstrdup+0x36/0x70
    [<00000000c1b2c3d4>] fault_kmalloc_leak+0x1f/0x40 [faults]
    [<00000000d1b2c3d4>] faults_init+0x5b/0x1000 [faults]
    [<00000000e1b2c3d4>] do_one_initcall+0xd6/0x3d0
`;
const later = `unreferenced object 0xffff888105a5c040 (size 96):
  comm "insmod", pid 1234, jiffies 4294901234
  backtrace (crc 6f2ab0):
    kmemleak_alloc+0x4a/0x90
    __kmalloc_cache_noprof+0x1d1/0x2b0
    0xffffffffc0200010
`;

describe("what kmemleak has found", () => {
  it("is a report for each object, at the module's function", () => {
    const [first, second, ...more] = kmemleakReports(lost + later, 100);
    expect(more).toEqual([]);
    expect(first).toMatchObject({
      kind: "kmemleak",
      cause: "memory leak",
      title: "memory leak in fault_kmalloc_leak [faults]",
      function: "fault_kmalloc_leak",
      module: "faults",
      time: 87.5,
    });
    expect(first?.lines).toHaveLength(11);
    expect(second?.module).toBeUndefined();
    expect(second?.time).toBeUndefined();
    expect(second?.lines.at(-1)).toContain("0xffffffffc0200010");
  });

  it("is the module's function in what 6.1 really says", () => {
    const file = "6.1-kasan-kmemleak-lockdep/kmemleak.log";
    const text = readFileSync(
      new URL(`../../../fixtures/console/${file}`, import.meta.url),
      "utf8",
    );
    const titles = kmemleakReports(text).map(({ title }) => title);
    expect(titles).toEqual(["memory leak in fault_kmalloc_leak [faults]"]);
  });

  it("is nothing when nothing is lost", () => {
    expect(kmemleakReports("")).toEqual([]);
    expect(kmemleakReports("cat: something else\n")).toEqual([]);
  });
});
