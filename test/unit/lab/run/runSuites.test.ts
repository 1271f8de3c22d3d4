import { beforeEach, describe, expect, it } from "vitest";
import { GuestError } from "../../../../lab/guest/session.ts";
import { silentProgress } from "../../../../lab/report/progress.ts";
import { runSuites, type RunOutcome } from "../../../../lab/run/runSuites.ts";
import { everything, type Selection } from "../../../../lab/run/selection.ts";
import { caseAt } from "../../../../lab/run/suite.ts";
import type { SuiteResult } from "../../../../lab/run/verdict.ts";
import { FakeGuest, FakeWitness, plan, type Answer } from "./fakeGuest.ts";

let guest: FakeGuest;
let witness: FakeWitness;
let log: string[];

beforeEach(() => {
  guest = new FakeGuest();
  witness = new FakeWitness();
  log = [];
});

const good: Answer = { stdout: "KTAP version 1\n1..2\nok 1 a\nok 2 b\n" };
const first = "tests/first.sh";
const second = "tests/second.sh";

function run(
  answers: Record<string, Answer>,
  signal?: AbortSignal,
  selection: Selection = everything,
  { fresh = false, ...scope }: { readonly stopAtFirst?: true; readonly fresh?: boolean } = {},
): Promise<RunOutcome> {
  guest.answers.push(...Object.entries(answers));
  const write = (text: string): number => log.push(text);
  return runSuites({
    guest,
    plan: { ...plan, selection, ...scope },
    progress: silentProgress,
    log: { write },
    ...{ witness, fresh },
    lastWordsMs: 50,
    askLimits: { commandMs: 100, answerMs: 60, silentMs: 5 },
    ...(signal && { signal }),
  });
}

const index = (piece: string): number => guest.ran.findIndex((line) => line.includes(piece));

describe("a run in which all is well", () => {
  it("passes, with the steps in their order", async () => {
    const outcome = await run({ [first]: good, [second]: good });
    expect(outcome.verdict).toEqual({ kind: "passed", reason: "4 cases in 2 suites passed" });
    const order = [
      "/proc/sys/kernel/osrelease",
      "upload /builds/hello /var/lib/vexlab/run/run-1",
      "modprobe -- videodev",
      "insmod /var/lib/vexlab/run/run-1/hello.ko debug=1",
      first,
      "rmmod hello",
      second,
    ].map(index);
    expect(order).not.toContain(-1);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(guest.loaded).toEqual(new Set());
  });

  it("does not wait for the first look at a fresh guest before it copies", async () => {
    const outcome = await run({ [first]: good, [second]: good }, undefined, everything, {
      fresh: true,
    });
    expect(outcome.verdict.kind).toBe("passed");
    expect(index("upload")).toBeLessThan(index("/proc/sys/kernel/osrelease"));
  });

  it("runs suites as root in the copied tree with the environment of the plan", async () => {
    await run({ [first]: good, [second]: good });
    expect(guest.ran[index(first)]).toBe(
      "sudo -n env --chdir=/var/lib/vexlab/run/run-1 VEXLAB_SOURCE=/var/lib/vexlab/run/run-1 VEXLAB_CASE_TIMEOUT=1 tests/first.sh",
    );
  });

  it("replaces a module that an earlier run left loaded", async () => {
    guest.loaded.add("hello");
    const outcome = await run({ [first]: good, [second]: good });
    expect(outcome.verdict.kind).toBe("passed");
    expect(index("rmmod hello")).toBeLessThan(index("insmod"));
  });
});

describe("a run that ends at the first failure", () => {
  const stopping = (answers: Record<string, Answer>, cases: string[] = []): Promise<RunOutcome> =>
    run(answers, undefined, { ...everything, cases }, { stopAtFirst: true });
  const failing: Answer = {
    stdout: "KTAP version 1\n1..3\nok 1 a\n# got 4\nnot ok 2 sum\n",
    hangs: true,
  };

  it("stops the suite in its middle, unloads the module and leaves out the others", async () => {
    const { verdict, suites } = await stopping({ [first]: failing, [second]: good });
    expect(verdict).toEqual({ kind: "failed", reason: 'suite first, case "sum" failed (got 4)' });
    expect(suites.map(({ ending }) => ending)).toEqual(["stopped", "notRun"]);
    expect(suites[0]).toMatchObject({ problems: [], exitCode: null });
    expect(suites[0]?.cases.map(({ name }) => name)).toEqual(["a", "sum"]);
    expect(guest.loaded).toEqual(new Set());
  });

  it("ends when a suite as a whole has failed", async () => {
    const { suites } = await stopping({ [first]: { ...good, exitCode: 3 }, [second]: good });
    expect(suites.map(({ ending }) => ending)).toEqual(["exited", "notRun"]);
  });

  it("goes on while all is well, and after cases that were not wanted", async () => {
    const other: Answer = { stdout: "1..2\nnot ok 1 other\nok 2 b\n", exitCode: 1 };
    const { verdict, suites } = await stopping({ [first]: other, [second]: good }, ["b"]);
    expect(verdict.kind).toBe("passed");
    expect(suites.map(({ ending }) => ending)).toEqual(["exited", "exited"]);
  });

  it("takes a failed subtest with its parent", async () => {
    const nested = "1..2\n    1..2\n    not ok 1 x\n    ok 2 y\nnot ok 1 parent\n";
    const { suites } = await stopping({ [first]: { stdout: nested, hangs: true } });
    expect(suites[0]?.cases.map(({ name }) => name)).toEqual(["parent / x", "parent / y"]);
    expect(suites[0]?.ending).toBe("stopped");
  });
});

describe("what makes a run fail", () => {
  it.each<[string, Answer, RegExp]>([
    [
      "a case",
      { stdout: "1..1\n# got 4\nnot ok 1 sum\n" },
      /suite first, case "sum" failed \(got 4\)/,
    ],
    ["an exit status", { ...good, exitCode: 3 }, /first: .*exited with 3 although no case failed/],
    [
      "no output",
      { stderr: "tests/first.sh: not found\n", exitCode: 127 },
      /first: .*reported no case.*not found/,
    ],
    ["a plan not met", { stdout: "1..5\nok 1 a\nok 2 b\nok 3 c\n" }, /4-5 missing/],
  ])("%s", async (_, answer, reason) => {
    const { verdict, suites } = await run({ [first]: answer, [second]: good });
    expect(verdict.kind).toBe("failed");
    expect(verdict.reason).toMatch(reason);
    // The other suite still gets its turn.
    expect(suites[1]?.ending).toBe("exited");
  });

  it("only skipped cases", async () => {
    const skipped: Answer = { stdout: "1..0 # SKIP no disk\n" };
    const { verdict } = await run({ [first]: skipped, [second]: skipped });
    expect(verdict).toEqual({
      kind: "failed",
      reason: "no case was run: 2 cases skipped, none passed",
    });
  });

  it("no suite at all", async () => {
    const context = { guest, progress: silentProgress, log: { write: () => undefined }, witness };
    const { verdict } = await runSuites({ ...context, plan: { ...plan, suites: [] } });
    expect(verdict.kind).toBe("failed");
    expect(verdict.reason).toMatch(/no case is not a pass/);
  });

  it("a module that can't be unloaded", async () => {
    const busy: Answer = { exitCode: 1, stderr: "rmmod: ERROR: Module hello is in use\n" };
    const { verdict, suites } = await run({ [first]: good, [second]: good, "rmmod hello": busy });
    expect(verdict).toEqual({
      kind: "failed",
      reason:
        "after suite first: module hello could not be unloaded: rmmod: ERROR: Module hello is in use",
    });
    expect(suites[1]?.ending).toBe("notRun");
  });
});

describe("a selection of cases", () => {
  const whole: Answer = {
    stdout: `1..4
# tags: slow
ok 1 struct round trip
not ok 2 other
# tags: slow io
# measure: speed=2.5 MB/s
ok 3 write
ok 4 struct sizes # SKIP no header
`,
    exitCode: 1,
  };
  const chosen: Answer = { stdout: "# selected: 1 of 3\n1..1\nok 1 struct in b\n" };
  const none: Answer = { stdout: "# selected: 0 of 9\n1..0 # SKIP no case is selected\n" };
  const select = (cases: string[], tags: string[] = []) => ({ suites: [], cases, tags });

  it("counts only what is wanted of a suite that runs whole, be it passed or failed", async () => {
    const { verdict, suites } = await run(
      { [first]: whole, [second]: chosen },
      undefined,
      select(["struct*"]),
    );
    expect(verdict).toEqual({
      kind: "passed",
      reason: "2 cases in 2 suites passed, 1 skipped",
    });
    expect(suites.map(({ cases, notSelected }) => [cases.length, notSelected])).toEqual([
      [2, 2],
      [1, 2],
    ]);
  });

  it("goes by tags, and keeps what was measured", async () => {
    const outcome = await run({ [first]: whole, [second]: none }, undefined, select([], ["io"]));
    expect(outcome.verdict.reason).toBe("1 case in 1 suite passed");
    expect(outcome.suites[0]?.cases).toMatchObject([
      {
        name: "write",
        tags: ["slow", "io"],
        measures: [{ name: "speed", value: 2.5, unit: "MB/s" }],
        diagnostics: [],
      },
    ]);
    expect(outcome.suites[1]).toMatchObject({ cases: [], notSelected: 9, problems: [] });
  });

  it.each([
    [["strukt*"], [], "no case of 2 suites has a name like 'strukt*'"],
    [["struct*", "strukt*"], [], "no case of 2 suites has a name like 'strukt*'"],
    [["struct*"], ["io"], "no case of 2 suites has a name like 'struct*' and the tag io"],
    [["write"], ["io", "of"], "no case of 2 suites has the tag of and a name like 'write'"],
    [[], ["oi"], "no case of 2 suites has the tag oi"],
  ])("that fits nothing is no pass: %j %j", async (cases, tags, reason) => {
    const outcome = await run({ [first]: whole, [second]: chosen }, undefined, select(cases, tags));
    expect(outcome.verdict).toEqual({ kind: "failed", reason });
  });

  it("takes a wanted case that fails, and a faulty output, for what they are", async () => {
    const failing = await run({ [first]: whole, [second]: chosen }, undefined, select(["other"]));
    expect(failing.verdict.reason).toMatch(/case "other" failed/);
    guest.answers.length = 0;
    const short: Answer = { stdout: "1..4\nok 1 struct\n" };
    const cut = await run({ [first]: short, [second]: chosen }, undefined, select(["struct*"]));
    expect(cut.verdict.reason).toMatch(/2-4 missing/);
  });

  it("takes subtests by their own names and by their parents'", async () => {
    const nested: Answer = {
      stdout:
        "1..2\n    1..2\n    ok 1 a\n    ok 2 b\nok 1 struct\n    1..1\n    ok 1 a\nok 2 other\n",
    };
    const names = async (pattern: string): Promise<string[]> => {
      guest = new FakeGuest();
      const answers = { [first]: nested, [second]: none };
      const { suites } = await run(answers, undefined, select([pattern]));
      return suites.flatMap(({ cases }) => cases.map(({ name }) => name));
    };
    expect(await names("struct")).toEqual(["struct / a", "struct / b"]);
    expect(await names("*/ a")).toEqual(["struct / a", "other / a"]);
    expect(await names("a")).toEqual([]);
  });

  it("does not let a suite skip all of its cases under the pretext of one", async () => {
    const skipped: Answer = { stdout: "1..0 # SKIP no disk\n" };
    const { suites } = await run({ [first]: skipped, [second]: skipped });
    expect(suites[0]?.cases).toMatchObject([{ name: "(whole suite)", outcome: "skipped" }]);
  });
});

describe("a module that does not load", () => {
  it("is load-failed with insmod's message and the kernel's last word", async () => {
    const { verdict, suites } = await run({
      insmod: {
        exitCode: 1,
        stderr: "insmod: ERROR: could not insert module: Invalid parameters\n",
        then: () => guest.kernelLog.push("[    2.000000] hello: unknown parameter 'debug'"),
      },
    });
    expect(verdict.kind).toBe("load-failed");
    expect(verdict.reason).toMatch(/Invalid parameters \(kernel log: hello: unknown parameter/);
    expect(suites.map((suite) => suite.ending)).toEqual(["notRun", "notRun"]);
  });

  it("is load-failed for want of its hardware, and says what the error number means", async () => {
    const said = "insmod: ERROR: could not insert module hello.ko: No such device\n";
    const { verdict } = await run({ insmod: { exitCode: 1, stderr: said } });
    expect(verdict.kind).toBe("load-failed");
    expect(verdict.reason).toMatch(/No such device \(ENODEV: it found no device of its own/);
  });

  it("is load-failed when it was built for another kernel", async () => {
    guest.kernelRelease = "6.12.0-test";
    const { verdict } = await run({});
    expect(verdict.kind).toBe("load-failed");
    expect(verdict.reason).toMatch(/built for kernel 6\.1\.0-test, the guest runs 6\.12\.0-test/);
  });

  it("is crashed when the kernel oopsed in its init", async () => {
    const { verdict } = await run({
      insmod: {
        exitCode: 137,
        then: () => guest.kernelLog.push("[    2.0] BUG: kernel NULL pointer dereference"),
      },
    });
    expect(verdict).toEqual({
      kind: "crashed",
      reason:
        "the kernel crashed during loading the module for suite first: null pointer dereference",
    });
  });
});

describe("deadlines", () => {
  it("kills a case that hangs, names it and goes on with the next suite", async () => {
    const { verdict, suites } = await run({
      [first]: { stdout: "KTAP version 1\n1..3\nok 1 mount\n", hangs: true },
      [second]: good,
    });
    expect(verdict.kind).toBe("hung");
    expect(verdict.reason).toMatch(
      /suite first, case "case 2" hung: no result within 0.1 s after "mount"/,
    );
    expect(suites[0]?.cases.map((each) => each.outcome)).toEqual(["passed", "timedOut"]);
    expect(suites[0]?.problems.join()).toMatch(/2-3 missing/);
    expect(suites[1]?.ending).toBe("exited");
    expect(guest.loaded).toEqual(new Set());
  });

  it("gives every case its own time", async () => {
    const pieces = [1, 2, 3, 4].map((number) => `ok ${number} slow\n`);
    const slow: Answer = { stdout: "1..4\n", drip: { pieces, pauseMs: 150 } };
    guest.answers.push([first, slow], [second, good]);
    const patient = plan.suites.map((suite) => ({
      ...suite,
      caseTimeoutMs: 400,
      timeoutMs: 9_000,
    }));
    const { verdict, suites } = await runSuites({
      guest,
      plan: { ...plan, suites: patient },
      progress: silentProgress,
      log: { write: () => undefined },
      witness,
    });
    expect(verdict.kind).toBe("passed");
    for (const each of suites[0]?.cases ?? []) {
      expect(each.milliseconds).toBeGreaterThan(100);
      expect(each.milliseconds).toBeLessThan(400);
    }
  });

  it("uses the name that the suite announced", async () => {
    const { verdict } = await run({
      [first]: { stdout: "1..1\n#  RUN           fs.write ...\n", hangs: true },
      [second]: good,
    });
    expect(verdict.reason).toMatch(/case "fs\.write" hung/);
  });

  it("says that a program did not end after its last result", async () => {
    const { verdict } = await run({ [first]: { ...good, hangs: true }, [second]: good });
    expect(verdict.reason).toMatch(/case "\(end of the suite\)" hung/);
  });

  it("counts a case's deadline from the last result, the suite's from its start", async () => {
    const chatty: Answer = { stdout: "1..2\n", hangs: true };
    guest.answers.push([first, chatty], [second, good]);
    const patient = plan.suites.map((suite) => ({ ...suite, caseTimeoutMs: 5_000, timeoutMs: 80 }));
    const { suites } = await runSuites({
      guest,
      plan: { ...plan, suites: patient },
      progress: silentProgress,
      log: { write: () => undefined },
      witness,
      askLimits: { commandMs: 100, answerMs: 60, silentMs: 5 },
    });
    expect(suites[0]?.ending).toBe("suiteTimeout");
    expect(suites[0]?.cases.at(-1)?.diagnostics.at(-1)).toMatch(/did not end within 0\.1 s/);
  });
});

describe("a hang, and what the kernel does then", () => {
  const dump = [
    "[    9.0] sysrq: Show Blocked State",
    "[    9.0] task:insmod          state:D stack:0     pid:7 ppid:6 flags:0x00004002",
    "[    9.0] Call Trace:",
    "[    9.0]  hello_wait+0x1/0x20 [hello]",
    "",
  ].join("\r\n");
  const trigger = "/proc/sysrq-trigger";
  const hanging: Answer = { stdout: "1..2\nok 1 a\n# RUN b\n", hangs: true };
  const title = "insmod (pid 7, state D) waits in hello_wait [hello]";

  it("is asked by a command while the guest answers, before the suite is killed", async () => {
    const { verdict, hangs, crashes } = await run({
      [trigger]: { then: () => (witness.console += dump) },
      [first]: hanging,
      [second]: good,
    });
    expect(index(trigger)).toBeGreaterThan(index(first));
    expect(index(trigger)).toBeLessThan(index("rmmod"));
    expect(verdict.kind).toBe("hung");
    expect(crashes).toEqual([]);
    expect(hangs).toMatchObject([
      { title, asked: "session", during: "suite first", suite: "first", case: "b" },
    ]);
    expect(witness.pressed).toEqual([]);
    expect(log.join("\n")).toMatch(/hang: {2}hello_wait\+0x1\/0x20 \[hello\]/);
  });

  it("is asked on the keyboard when the guest no longer answers", async () => {
    witness.sysrq.set("w", dump);
    const { verdict, hangs } = await run({
      [first]: { then: () => (guest.unreachable = new GuestError("deadline", "no answer")) },
    });
    expect(verdict.kind).toBe("hung");
    expect(witness.pressed).toEqual(["w", "m", "l"]);
    expect(hangs).toMatchObject([{ title, asked: "keyboard" }]);
  });

  it("stays a hang when the kernel says nothing", async () => {
    const { verdict, hangs } = await run({ [first]: hanging, [second]: good });
    expect(verdict.kind).toBe("hung");
    expect(hangs).toBeUndefined();
    expect(log).toContain("the kernel does not answer");
  });

  it("is a crash when the kernel has one to report meanwhile", async () => {
    witness.sysrq.set("l", "[    9.1] watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [a:1]\n");
    const { verdict } = await run({
      [first]: { then: () => (guest.unreachable = new GuestError("deadline", "no answer")) },
    });
    expect(verdict.kind).toBe("crashed");
  });

  it("does not count what a suite says after its deadline", async () => {
    const drip = { pieces: ["ok 1 a\n", "ok 2 b\n"], pauseMs: 20 };
    guest.answers.push([trigger, { drip: { pieces: [""], pauseMs: 60 } }]);
    const suites = plan.suites.map((suite) => ({ ...suite, caseTimeoutMs: 30, timeoutMs: 30 }));
    guest.answers.push([first, { stdout: "1..2\n", drip }], [second, good]);
    const outcome = await runSuites({
      ...{ guest, plan: { ...plan, suites }, progress: silentProgress, witness },
      log: { write: (text) => log.push(text) },
      askLimits: { commandMs: 100, answerMs: 10, silentMs: 5 },
    });
    expect(outcome.suites[0]?.cases.map(({ outcome: each }) => each)).toEqual([
      "passed",
      "timedOut",
    ]);
    expect(log).toContain("ok 2 b");
  });
});

describe("the case that ran when something happened", () => {
  const cases = [100, 200, 300].map((milliseconds, index) => ({
    ...{ suite: "s", name: `case ${index + 1}`, outcome: "passed", milliseconds, diagnostics: [] },
  })) as SuiteResult["cases"];
  const suite: SuiteResult = {
    ...{
      name: "s",
      cases,
      ending: "exited",
      exitCode: 0,
      milliseconds: 650,
      problems: [],
      tail: [],
    },
  };

  it.each([
    [50.0, undefined],
    [50.36, "case 1"],
    [50.5, "case 2"],
    [50.9, "case 3"],
    [50.99, undefined],
  ])("at %s s of a suite of 0.65 s that ended at 51 s", (time, name) => {
    expect(caseAt(suite, time, 51)).toBe(name);
  });

  it("is the one that the suite had begun, if it said so", () => {
    expect(caseAt({ ...suite, underWay: "x" }, 50.5, 51)).toBe("x");
    expect(caseAt(suite, 50.5)).toBeUndefined();
  });
});

describe("a kernel that crashes", () => {
  it("is crashed when the kernel log shows it, whatever the cases say", async () => {
    const oops = [
      "[    3.0] BUG: unable to handle page fault for address: 0000000000001000",
      "[    3.0] RIP: 0010:hello_write+0xc/0x20 [hello]",
      "[    3.0] Call Trace:",
      "[    3.0] ---[ end trace 0000000000000000 ]---",
    ];
    const { verdict, suites, crashes } = await run({
      [first]: { ...good, then: () => guest.kernelLog.push(...oops) },
    });
    expect(verdict.kind).toBe("crashed");
    expect(verdict.reason).toBe(
      "the kernel crashed during suite first: page fault in hello_write [hello]",
    );
    expect(crashes).toMatchObject([
      {
        ...{ kind: "oops", function: "hello_write", module: "hello", during: "suite first" },
        lines: oops.map((line) => line.replace(/^\[.*?\] /, "")),
      },
    ]);
    expect(suites[1]?.ending).toBe("notRun");
    expect(index("rmmod")).toBe(-1);
  });

  it("names the case that was under way, if the suite said so", async () => {
    const panic = "[    9.1] Kernel panic - not syncing: Fatal exception\r\n";
    const { verdict, suites } = await run({
      [first]: {
        stdout: "1..2\n# RUN a\nok 1 a\n# RUN pulls the plug\n",
        then: () => (witness.console = panic),
        fails: new GuestError("lost", "connection lost"),
      },
    });
    expect(verdict.reason).toMatch(
      /^the kernel crashed during suite first, case "pulls the plug": /,
    );
    expect(suites[0]).toMatchObject({ underWay: "pulls the plug" });
    expect(suites[0]?.cases[0]?.diagnostics).toEqual([]);
  });

  it("names the case by the clock of the kernel's log, when the suite has ended", async () => {
    const warning = "[  100.250000] WARNING: CPU: 0 PID: 1 at /x.c:1 f+0x1/0x2 [hello]";
    const { verdict, crashes } = await run({
      [first]: {
        stdout: "KTAP version 1\n1..2\nok 1 a\n",
        drip: { pieces: ["ok 2 b\n"], pauseMs: 55 },
        then: () => {
          guest.kernelLog.push(warning);
          guest.kernelTime = 100.28;
        },
      },
      [second]: good,
    });
    expect(crashes[0]).toMatchObject({ suite: "first", case: "b" });
    expect(verdict.reason).toMatch(/during suite first, case "b": warning in f \[hello\]$/);
  });

  it("shows source lines where they are known, and is none the worse without", async () => {
    const push = (): number =>
      guest.kernelLog.push("[    3.0] WARNING: CPU: 0 PID: 1 at /x.c:1 f+0x1/0x2 [hello]");
    guest.answers.push([first, { ...good, then: push }]);
    const context = { guest, plan, progress: silentProgress, witness };
    const write = (text: string): number => log.push(text);
    const { verdict } = await runSuites({
      ...context,
      log: { write },
      decode: (reports) =>
        Promise.resolve(
          reports.map((report) => ({
            ...report,
            frames: report.frames.map((frame) => ({ ...frame, source: "x.c:1" })),
          })),
        ),
    });
    expect(verdict.reason).toMatch(/: warning in f \[hello\] \(x\.c:1\)$/);
    expect(log).toContain("crash: WARNING: CPU: 0 PID: 1 at /x.c:1 f+0x1/0x2 [hello] x.c:1");
  });

  it("is crashed when the guest restarts while a suite is silent", async () => {
    const restart = "[   80.1] hello: oh\r\n[    0.0] Linux version 6.1.0-test\r\n";
    guest.answers.push([
      first,
      { stdout: "1..2\n", hangs: true, then: () => (witness.console = restart) },
    ]);
    const slow = plan.suites.map((suite) => ({ ...suite, caseTimeoutMs: 5_000, timeoutMs: 9_000 }));
    const { verdict } = await runSuites({
      ...{ guest, witness, progress: silentProgress, log: { write: () => undefined } },
      plan: { ...plan, suites: slow },
    });
    expect(verdict.reason).toBe("the kernel crashed during suite first: the guest restarted");
  });

  it("is crashed when only the taint tells", async () => {
    const { verdict } = await run({ [first]: { ...good, then: () => (guest.taint = 1 << 7) } });
    expect(verdict.kind).toBe("crashed");
    expect(verdict.reason).toMatch(/tainted, D: the kernel died/);
  });

  it("is not crashed by an old oops or by a module's usual taint", async () => {
    guest.kernelLog.push("[    1.0] BUG: from an earlier run");
    guest.taint = 1 << 7;
    const { verdict } = await run({
      [first]: { ...good, then: () => (guest.taint |= 1 << 12) },
      [second]: good,
    });
    expect(verdict.kind).toBe("passed");
  });

  it("is crashed when the console shows a panic while a suite is silent", async () => {
    const panic = "[    9.1] Kernel panic - not syncing: Fatal exception\r\n";
    guest.answers.push([
      first,
      { stdout: "1..2\n", hangs: "for ever", then: () => (witness.console = panic) },
    ]);
    const slow = plan.suites.map((suite) => ({ ...suite, caseTimeoutMs: 5_000, timeoutMs: 9_000 }));
    const began = performance.now();
    const { verdict } = await runSuites({
      guest,
      plan: { ...plan, suites: slow },
      progress: silentProgress,
      log: { write: () => undefined },
      witness,
    });
    expect(verdict.kind).toBe("crashed");
    expect(verdict.reason).toMatch(/during suite first: panic: Fatal exception/);
    expect(performance.now() - began).toBeLessThan(4_000);
  });

  it("is crashed at once when libvirt says so, whatever the console shows", async () => {
    const crash = new AbortController();
    guest.answers.push([
      first,
      {
        stdout: "1..2\n",
        hangs: "for ever",
        then: () => {
          witness.state = "crashed";
          crash.abort();
        },
      },
    ]);
    const slow = plan.suites.map((suite) => ({ ...suite, caseTimeoutMs: 5_000, timeoutMs: 9_000 }));
    const began = performance.now();
    const { verdict } = await runSuites({
      ...{ guest, witness, plan: { ...plan, suites: slow }, progress: silentProgress },
      ...{ log: { write: () => undefined }, lastWordsMs: 50, crashed: crash.signal },
    });
    expect(verdict.reason).toMatch(/during suite first: libvirt reports that the guest crashed/);
    expect(performance.now() - began).toBeLessThan(4_000);
  });

  it.each([
    ["loading", "insmod"],
    ["unloading", "rmmod"],
  ])("does not wait for a command that it has taken with it, %s the module", async (what, word) => {
    const panic = "[    9.1] Kernel panic - not syncing: Fatal exception\r\n";
    const began = performance.now();
    const { verdict } = await run({
      [first]: good,
      [word]: { hangs: "for ever", then: () => (witness.console = panic) },
    });
    expect(verdict.kind).toBe("crashed");
    expect(verdict.reason).toContain(`during ${what} the module`);
    expect(performance.now() - began).toBeLessThan(4_000);
  });
});

describe("a connection that is lost during a suite", () => {
  const lost: Answer = {
    stdout: "1..2\nok 1 a\n",
    fails: new GuestError("lost", "connection lost"),
  };
  const silent: Answer = { stdout: "1..2\n", fails: new GuestError("deadline", "no answer") };

  it("is crashed when the console shows a panic", async () => {
    witness.console = "[    9.1] Kernel panic - not syncing: sysrq triggered crash\r\n";
    expect((await run({ [first]: lost })).verdict.kind).toBe("crashed");
  });

  it.each<[string, Answer, FakeWitness["state"], string]>([
    ["the guest runs and is silent", silent, "running", "hung"],
    ["the guest runs and the connection broke", lost, "running", "infrastructure-failed"],
    ["the guest stopped", lost, "stopped", "infrastructure-failed"],
    ["libvirt says crashed", lost, "crashed", "crashed"],
  ])("when %s", async (_, answer, state, kind) => {
    witness.state = state;
    const { verdict, suites } = await run({ [first]: answer });
    expect(verdict.kind).toBe(kind);
    expect(verdict.reason).toMatch(/suite first/);
    expect(suites[0]?.ending).toBe("connectionLost");
  });

  it("is the host's failure when QEMU has paused the guest, also after a deadline", async () => {
    witness.paused = "QEMU has paused the guest (I/O error): vda: no space";
    const deaf = (): void => {
      guest.unreachable = new GuestError("deadline", "not finished after 30 s: dmesg");
    };
    const hangs: Answer = { stdout: "KTAP version 1\n1..1\n", hangs: true, then: deaf };
    for (const answer of [silent, hangs]) {
      guest.unreachable = undefined;
      guest.answers.length = 0;
      const { verdict } = await run({ [first]: answer });
      expect(verdict).toEqual({
        kind: "infrastructure-failed",
        reason: `${witness.paused} during suite first`,
      });
    }
  });

  it("says in one line which question the guest did not answer", async () => {
    const deaf = (): void => {
      guest.answers.push([
        "dmesg",
        { fails: new GuestError("deadline", "not finished after 30 s: sh -c\ncat\ndmesg") },
      ]);
    };
    const { verdict } = await run({ [first]: { ...good, then: deaf } });
    expect(verdict).toEqual({
      kind: "hung",
      reason: "the guest hung during suite first: it did not tell its kernel's state within 30 s",
    });
  });

  it("keeps a reason to one line, whatever the guest said", async () => {
    const { verdict } = await run({
      insmod: { exitCode: 1, stderr: "\u001b[31mno\r way\nsecond line\n" },
    });
    expect(verdict.reason).toBe("the module was not loaded: no way");
  });

  it("is infrastructure-failed when the guest was never reached", async () => {
    guest.unreachable = new GuestError("lost", "connection lost");
    witness.state = "stopped";
    const { verdict } = await run({});
    expect(verdict.kind).toBe("infrastructure-failed");
  });
});

describe("cancelling", () => {
  it("stops the suite, unloads the module and is not a failure", async () => {
    const cancel = new AbortController();
    const { verdict, suites } = await run(
      { [first]: { stdout: "1..2\nok 1 a\n", hangs: true, then: () => cancel.abort() } },
      cancel.signal,
    );
    expect(verdict).toEqual({
      kind: "cancelled",
      reason: "cancelled during suite first, after 1 case",
    });
    expect(suites.map((suite) => suite.ending)).toEqual(["cancelled", "notRun"]);
    expect(guest.loaded).toEqual(new Set());
  });

  it("before anything was done does nothing in the guest", async () => {
    const { verdict } = await run({}, AbortSignal.abort());
    expect(verdict.kind).toBe("cancelled");
    expect(index("insmod")).toBe(-1);
  });
});
