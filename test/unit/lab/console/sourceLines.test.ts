import { describe, expect, it } from "vitest";
import { crashReports } from "../../../../lab/console/crashParser.ts";
import {
  addr2lineArguments,
  decodedLines,
  parseAddr2line,
  placeOf,
  sourceAtFault,
} from "../../../../lab/console/sourceLines.ts";
import { stackFrame, type StackFrame } from "../../../../lab/console/stackFrames.ts";

const symbols = [
  { name: "write", section: ".text", value: 0x100 },
  { name: "write.cold", section: ".text.unlikely", value: 0x20 },
  { name: "start", section: ".init.text", value: 0x10 },
  { name: "twice", section: ".text", value: 0x200 },
  { name: "twice", section: ".text", value: 0x300 },
];
const frame = (text: string): StackFrame => stackFrame(text) as StackFrame;

describe("the place of a frame in its module", () => {
  it.each([
    ["RIP: 0010:write+0xc/0x20 [hello]", { section: ".text", address: 0x10c }],
    [" write+0xc/0x20 [hello]", { section: ".text", address: 0x10b }],
    [" write+0x0/0x20 [hello]", { section: ".text", address: 0x100 }],
    [" ? write.cold+0x5/0x20 [hello]", { section: ".text.unlikely", address: 0x24 }],
    [" start+0x4/0x1000 [hello]", { section: ".init.text", address: 0x13 }],
    [" twice+0x4/0x8 [hello]", undefined],
    [" gone+0x4/0x8 [hello]", undefined],
  ])("%s", (text, place) => {
    expect(placeOf(frame(text), symbols)).toEqual(place);
  });
});

describe("addr2line", () => {
  it("is asked for the addresses of a section", () => {
    expect(addr2lineArguments("kernel/hello.ko", ".init.text", [0, 255])).toEqual([
      ...["-a", "-i", "-e", "kernel/hello.ko", "-j", ".init.text", "0x0", "0xff"],
    ]);
  });

  it("tells lines, of functions inlined into each other the module's own", () => {
    const output = [
      "0x000000000000010c",
      "/mnt/build/kernel/write.c:42 (discriminator 3)",
      "0x0000000000000020",
      "/usr/src/linux/include/linux/list.h:90",
      "/mnt/build/kernel/queue.c:7",
      "/mnt/build/kernel/main.c:9",
      "0x0000000000000030",
      "/usr/src/linux/include/linux/list.h:91",
      "0x0000000000000040",
      "??:?",
      "0x0000000000000050",
      "??:0",
    ];
    expect([...parseAddr2line(`${output.join("\n")}\n`, "/mnt/build")]).toEqual([
      [0x10c, "kernel/write.c:42"],
      [0x20, "kernel/queue.c:7"],
      [0x30, "/usr/src/linux/include/linux/list.h:91"],
    ]);
  });
});

describe("a decoded report", () => {
  const [report] = crashReports(
    [
      "[ 1.0] WARNING: CPU: 0 PID: 1 at /x.c:1 write+0x1/0x2 [hello]",
      "[ 1.0] Call Trace:",
      "[ 1.0]  start+0x1/0x2 [hello]",
      "[ 1.0]  do_one_initcall+0x1/0x2",
    ].join("\n"),
  );
  if (report === undefined) throw new Error("no report");
  const decoded = {
    ...report,
    frames: report.frames.map((each, index) =>
      each.module === undefined ? each : { ...each, source: `x.c:${index}` },
    ),
  };

  it("has the source lines behind the frames", () => {
    expect(decodedLines(decoded)).toEqual([
      "WARNING: CPU: 0 PID: 1 at /x.c:1 write+0x1/0x2 [hello] x.c:0",
      "Call Trace:",
      " start+0x1/0x2 [hello] x.c:1",
      " do_one_initcall+0x1/0x2",
    ]);
    expect(decodedLines(report)).toEqual(report.lines);
  });

  it("says where the fault is", () => {
    expect(sourceAtFault(decoded)).toBe("x.c:0");
    expect(sourceAtFault(report)).toBeUndefined();
  });
});
