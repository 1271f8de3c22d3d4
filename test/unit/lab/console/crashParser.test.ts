import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CrashParser, crashReports, showsEnd } from "../../../../lab/console/crashParser.ts";
import type { CrashReport } from "../../../../lab/console/crashReport.ts";
import { anyCharacter } from "../../anyCharacter.ts";

const stamped = (lines: readonly string[], prefix = "[   80.000001] "): string =>
  lines.map((line) => `${prefix}${line}\n`).join("");

/** An oops in a function of that name. */
const oops = (name: string): string[] => [
  "BUG: kernel NULL pointer dereference, address: 0000000000000000",
  "Oops: 0002 [#1] PREEMPT SMP NOPTI",
  "CPU: 0 PID: 315 Comm: insmod Tainted: G           OE",
  `RIP: 0010:${name}+0xc/0x20 [hello]`,
  "Code: 48 98 c3 cc",
  "Call Trace:",
  " <TASK>",
  ` ${name}_caller+0x5/0x10 [hello]`,
  " do_syscall_64+0x5d/0xb0",
  " </TASK>",
  "---[ end trace 0000000000000000 ]---",
];
const titleOf = (name: string): string => `null pointer dereference in ${name} [hello]`;
const titles = (text: string): string[] => crashReports(text).map(({ title }) => title);

function inChunks(chunks: readonly string[]): CrashReport[] {
  const parser = new CrashParser();
  return [...chunks.flatMap((chunk) => parser.push(chunk)), ...parser.end()];
}

describe("reports that come at once", () => {
  it("are told apart by who prints", () => {
    const [one, two] = [oops("one"), oops("two")];
    const text = one.map(
      (line, index) =>
        stamped([line], "[   80.000001][  T315] ") +
        stamped([two[index] ?? ""], "[   80.000001][    C1] "),
    );
    const reports = crashReports(text.join(""));
    expect(reports.map(({ title }) => title)).toEqual([titleOf("one"), titleOf("two")]);
    expect(reports.map(({ lines }) => lines)).toEqual([one, two]);
  });

  it("are both found when nobody says who prints", () => {
    const text = stamped([...oops("one").slice(0, 7), ...oops("two")]);
    expect(titles(text)).toEqual([titleOf("one"), titleOf("two")]);
  });

  it("are found behind a line that another message cuts", () => {
    const [first = "", ...rest] = oops("one");
    const torn = `[   80.0] hello: wri[   80.1] ${first}\n${stamped(rest)}`;
    expect(titles(torn)).toEqual([titleOf("one")]);
    const prompt = `hello login: [   80.1] ${first}\n${stamped(rest)}`;
    expect(titles(prompt)).toEqual([titleOf("one")]);
  });
});

describe("a report that is cut", () => {
  it("by a panic has the panic's reason", () => {
    const text = stamped([
      ...oops("one").slice(0, 5),
      "Kernel panic - not syncing: Fatal exception in interrupt",
      "Kernel Offset: 0x1000000 from 0xffffffff81000000",
      "---[ end Kernel panic - not syncing: Fatal exception in interrupt ]---",
    ]);
    expect(crashReports(text)).toMatchObject([
      { title: titleOf("one"), panic: "Fatal exception in interrupt" },
    ]);
    expect(showsEnd(text)).toBe(true);
  });

  it("by the end of the text is still one", () => {
    expect(titles(stamped(oops("one").slice(0, 4)))).toEqual([titleOf("one")]);
    expect(titles("[   80.0] BUG: kernel NULL pointer dereference")).toEqual([
      "null pointer dereference",
    ]);
  });

  it("is a panic that says of a stack that it is full", () => {
    const text = stamped([
      "Kernel panic - not syncing: corrupted stack end detected inside scheduler",
      "Call Trace:",
      " hello_recurse+0x1/0x2 [hello]",
    ]);
    expect(crashReports(text)).toMatchObject([
      {
        kind: "stack-overflow",
        title: "stack overflow in hello_recurse [hello]",
        panic: "corrupted stack end detected inside scheduler",
      },
    ]);
    expect(showsEnd(text)).toBe(true);
  });

  it("has a panic of its own when nothing came before, or long before", () => {
    const panic = "Kernel panic - not syncing: Fatal exception";
    expect(titles(stamped([panic]))).toEqual(["panic: Fatal exception"]);
    expect(titles(stamped(oops("one")) + stamped([panic], "[  200.0] "))).toEqual([
      titleOf("one"),
      "panic: Fatal exception",
    ]);
  });
});

describe("what comes behind a trace", () => {
  const hung = [
    "INFO: task insmod:315 blocked for more than 4 seconds.",
    "Call Trace:",
    " <TASK>",
    " __schedule+0x351/0xa00",
    " hello_wait+0x16/0x40 [hello]",
    " </TASK>",
  ];

  it("is no part of the report", () => {
    const [report] = crashReports(stamped([...hung, "hello: goes on", "hello: and on"]));
    expect(report?.lines).toEqual(hung);
  });

  it("is not even when it looks like one, after some seconds", () => {
    const later = stamped([" other+0x1/0x2 [other]", "CPU: 1 PID: 12"], "[   85.0] ");
    const [report] = crashReports(stamped(hung) + later);
    expect(report?.lines).toEqual(hung);
    expect(report?.title).toBe("hung task in hello_wait [hello]");
  });
});

describe("a damaged object", () => {
  it("is the doing of who is in the trace, not of who allocated it", () => {
    const report = [
      "BUG hello_cache (Tainted: G           OE     ): Right Redzone overwritten",
      "Allocated in hello_make+0x76/0xd0 [hello] age=5 cpu=0 pid=391",
      " hello_make+0x76/0xd0 [hello]",
      "Call Trace:",
      " dump_stack_lvl+0x44/0x5c",
      " hello_break+0x16/0x40 [hello]",
    ];
    const [found] = crashReports(stamped(report));
    expect(found?.title).toBe("slab corruption: Right Redzone overwritten in hello_break [hello]");
    expect(found?.frames.map((frame) => frame.function)).toContain("hello_make");
  });
});

describe("words of programs", () => {
  const imitation = oops("fake");
  const before = stamped(["hello: loaded"]);

  it.each([
    ["without a time, where the kernel prints times", before + stamped(imitation, "")],
    ["with a user's priority", stamped(imitation, "<12>[   80.0] ")],
    ["as a second line of a user's message", `<12>[   80.0] a\n${stamped(imitation, "")}`],
    ["in the journal's form", stamped(imitation, "[   80.0] sh[312]: [   80.0] ")],
    ["of the journal without a time", before + stamped(imitation, "sh[312]: [   80.0] ")],
    ["of an earlier message", "[   80.0] hello: said [   12.0] BUG: unable to handle it\n"],
    ["that died of a fault", stamped(["traps: sh[1] general protection fault ip:1 sp:1 error:0"])],
  ])("%s are no crash", (_, text) => {
    expect(titles(text)).toEqual([]);
  });

  it("with the kernel's priority are the kernel's", () => {
    expect(titles(stamped(oops("one"), "<1>[   80.0] "))).toEqual([titleOf("one")]);
  });
});

describe("a group of processes", () => {
  it("that runs out of the memory it was given is no crash", () => {
    const lines = [
      "stress invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
      "Call Trace:",
      " dump_stack_lvl+0x44/0x5c",
      "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/",
      "Memory cgroup out of memory: Killed process 12 (stress)",
    ];
    expect(titles(stamped(lines))).toEqual([]);
    expect(titles(stamped(lines.slice(0, 3)))).toEqual(["out of memory"]);
  });
});

describe("a restart", () => {
  const begins = "[    0.000000] Linux version 6.1.0-56-amd64\n";

  it("is no crash at the beginning, and one later", () => {
    expect(titles(begins)).toEqual([]);
    expect(titles(`${begins}[    1.0] hello\n${begins}`)).toEqual(["the guest restarted"]);
    expect(titles(`${stamped(["reboot: Restarting system"])}${begins}`)).toEqual([
      "the guest restarted",
    ]);
  });
});

describe("what else a console holds", () => {
  it("colours and bytes that are no text do not hide a report", () => {
    const noise = "\u0000\u001b[1;31m\u0007";
    const text = stamped(oops("one"), `\ufffd${noise}[   80.0] ${noise}`);
    expect(titles(text.replaceAll("\n", "\r\n"))).toEqual([titleOf("one")]);
  });

  it("never throws", () => {
    const piece = fc.oneof(
      fc.string({ unit: anyCharacter }),
      fc.constantFrom(...oops("one"), "\n", "[ 80.0] ", "<4>", "Kernel panic - not syncing: x"),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        crashReports(pieces.join(""));
      }),
      { numRuns: 500 },
    );
  });

  it("may be cut anywhere", () => {
    const text = stamped([...oops("one"), "hello: between", ...oops("two")]);
    const whole = inChunks([text]);
    fc.assert(
      fc.property(fc.array(fc.nat(text.length), { maxLength: 12 }), (cuts) => {
        const places = [0, ...cuts.toSorted((a, b) => a - b), text.length];
        const chunks = places.map((place, index) => text.slice(place, places[index + 1] ?? place));
        expect(inChunks(chunks)).toEqual(whole);
      }),
    );
  });

  it("never hides a report by what stands between reports", () => {
    const line = fc
      .string({ unit: anyCharacter, maxLength: 80 })
      .map((text) => text.replace(/[\r\n]/g, ""))
      // A line that is itself a message of the kernel is no noise.
      .filter((text) => !/\[ *\d+\.\d+\]|^<\d/.test(text));
    const lines = fc.array(line, { maxLength: 8 });
    fc.assert(
      fc.property(lines, lines, lines, (...noise) => {
        const [a, b, c] = noise.map((each) => each.map((text) => `${text}\n`).join(""));
        const text = `[    1.0] up\n${a}${stamped(oops("one"))}${b}${stamped(oops("two"))}${c}`;
        expect(titles(text)).toEqual([titleOf("one"), titleOf("two")]);
      }),
      { numRuns: 300 },
    );
  });

  it("takes time in proportion to its length, whatever it is", () => {
    const seconds = (text: string): number => {
      const began = performance.now();
      inChunks(text.match(/[^]{1,65536}/g) ?? []);
      return (performance.now() - began) / 1000;
    };
    const hard = [
      "a".repeat(8000),
      "[   80.000001] ".repeat(500),
      `[   80.0] WARNING: possible ${"x ".repeat(3900)}`,
      `[   80.0] WARNING: ${"a".repeat(7000)}`,
      `[   80.0] BUG: KASAN: ${"in ".repeat(2500)}`,
      `[   80.0] BUG: ${"f+0x1/0x".repeat(900)}`,
      `[   80.0] ${"_a".repeat(3900)}`,
      `[   80.0] BUG a (Tainted: ${"(".repeat(7000)}`,
    ];
    for (const line of hard) expect(seconds(`${line}\n`.repeat(60))).toBeLessThan(2);
  });

  it("is not kept: a report of gigabytes is cut", () => {
    const fatal = "Kernel panic - not syncing: Fatal exception";
    const endless = [...oops("one").slice(0, -1), ...Array<string>(5000).fill(" f+0x1/0x2")];
    const [report] = crashReports(stamped(endless));
    expect(report?.lines.length).toBeLessThanOrEqual(250);
    const panics = stamped([...oops("one"), ...Array<string>(5000).fill(fatal)]);
    expect(crashReports(panics)[0]?.lines.length).toBeLessThanOrEqual(250);
    const storm = stamped(oops("one")).repeat(500);
    expect(crashReports(storm)).toHaveLength(1);
  });
});

// As kernel/locking/lockdep.c (print_circular_bug) and mm/kasan/report.c of 6.1 word them.
describe("a sanitizer's report is at the function that it is about", () => {
  const lines = (...all: string[]): string =>
    all.map((text, index) => `[   12.${String(index).padStart(6, "0")}] ${text}\n`).join("");
  const titleOf = (...all: string[]): string[] =>
    crashReports(lines(...all)).map(({ title }) => title);

  it("of an order of locks that can deadlock", () => {
    expect(
      titleOf(
        "======================================================",
        "WARNING: possible circular locking dependency detected",
        "6.1.192-kasan #1 Tainted: G           O      ",
        "------------------------------------------------------",
        "insmod/345 is trying to acquire lock:",
        "ffffffffc0204aa0 (first){+.+.}-{3:3}, at: take_both+0x6d/0xa0 [hello]",
        "but task is already holding lock:",
        "ffffffffc0204a00 (second){+.+.}-{3:3}, at: take_both+0x5f/0xa0 [hello]",
        "which lock already depends on the new lock.",
        "-> #1 (second){+.+.}-{3:3}:",
        "       __mutex_lock+0xf3/0xf30",
        "       other+0x3b/0xa0 [hello]",
        "stack backtrace:",
        "CPU: 1 PID: 345 Comm: insmod Tainted: G           O       6.1.192-kasan #1",
        "Call Trace:",
        " <TASK>",
        " dump_stack_lvl+0x49/0x61",
        " check_noncircular+0x1a5/0x1c0",
        " __lock_acquire+0x1b1e/0x2b40",
        " lock_acquire+0xf0/0x2d0",
        " __mutex_lock+0xf3/0xf30",
        " take_both+0x6d/0xa0 [hello]",
        " </TASK>",
      ),
    ).toEqual(["possible circular locking dependency detected in take_both [hello]"]);
  });

  it("of memory used beyond its end, whoever allocated it", () => {
    expect(
      titleOf(
        "==================================================================",
        "BUG: KASAN: slab-out-of-bounds in read_byte+0x5a/0x90 [hello]",
        "Read of size 1 at addr ffff888006d3f0b2 by task insmod/345",
        "",
        "CPU: 0 PID: 345 Comm: insmod Tainted: G           O       6.1.192-kasan #1",
        "Call Trace:",
        " <TASK>",
        " dump_stack_lvl+0x49/0x61",
        " print_report+0x171/0x486",
        " kasan_report+0xb7/0x130",
        " read_byte+0x5a/0x90 [hello]",
        " hello_init+0x10/0x20 [hello]",
        " </TASK>",
        "",
        "Allocated by task 345:",
        " kasan_save_stack+0x22/0x50",
        " __kasan_kmalloc+0x7f/0x90",
        " allocate+0x23/0x90 [hello]",
        "==================================================================",
        "Disabling lock debugging due to kernel taint",
      ),
    ).toEqual(["KASAN: slab-out-of-bounds in read_byte [hello]"]);
  });
});
