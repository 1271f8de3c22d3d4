import { describe, expect, it } from "vitest";
import { silentProgress } from "../../../../lab/report/progress.ts";
import { leaksIn } from "../../../../lab/run/leaks.ts";
import { runSuites, type RunOutcome } from "../../../../lab/run/runSuites.ts";
import { FakeGuest, FakeWitness, plan, type Answer } from "./fakeGuest.ts";

const object = (...frames: string[]): string =>
  [
    "unreferenced object 0xffff888105a5c000 (size 64):",
    '  comm "insmod", pid 12, jiffies 42 (age 7.000s)',
    "  backtrace:",
    ...frames.map((frame) => `    [<00000000a1b2c3d4>] ${frame}`),
    "",
  ].join("\n");
const ofModule = object("kmalloc_trace+0x26/0x90", "hello_open+0x1f/0x40 [hello]");
const ofKernel = object("kmalloc_trace+0x26/0x90", "acpi_init+0x1f/0x40");
const gone = object("kmalloc_trace+0x26/0x90", "0xffffffffc0200010");

describe("leaks", () => {
  it("count when a module has a part in them, also one that is gone; one of each kind", () => {
    const log: string[] = [];
    const found = leaksIn(`100.5 90.0\n${ofModule}${ofModule}${ofKernel}${gone}`, {
      write: (text) => void log.push(text),
    });
    expect(found.map(({ title, time }) => [title, time])).toEqual([
      ["memory leak in hello_open [hello]", 93.5],
      ["memory leak in kmalloc_trace", 93.5],
    ]);
    expect(log.join("\n")).toContain("lost by the kernel itself: memory leak in acpi_init");
  });
});

const good: Answer = { stdout: "KTAP version 1\n1..2\nok 1 a\nok 2 b\n" };

async function run(
  kmemleak: Answer,
  more: { looksForLeaks?: true } = { looksForLeaks: true },
): Promise<{ outcome: RunOutcome; guest: FakeGuest; log: string }> {
  const guest = new FakeGuest();
  const log: string[] = [];
  guest.answers.push(["kmemleak", kmemleak], ["tests/first.sh", good], ["tests/second.sh", good]);
  const outcome = await runSuites({
    ...{ guest, plan: { ...plan, ...more }, progress: silentProgress, witness: new FakeWitness() },
    log: { write: (text) => void log.push(text) },
    lastWordsMs: 50,
  });
  return { outcome, guest, log: log.join("\n") };
}

describe("a run on a kernel with kmemleak", () => {
  it("passes when nothing is lost, and asks after each suite", async () => {
    const { outcome, guest } = await run({ stdout: "100.0 90.0\n" });
    expect(outcome.verdict.kind).toBe("passed");
    expect(guest.ran.filter((line) => line.includes("kmemleak"))).toHaveLength(2);
  });

  it("is a crash of its kind when memory is lost, in the suite that lost it", async () => {
    const { outcome } = await run({ stdout: `100.0 90.0\n${ofModule}` });
    expect(outcome.verdict).toMatchObject({ kind: "crashed" });
    expect(outcome.verdict.reason).toContain("memory leak in hello_open [hello]");
    expect(outcome.crashes).toMatchObject([{ kind: "kmemleak", module: "hello", suite: "first" }]);
  });

  it("says it when kmemleak has turned itself off, and does not count that as a leak", async () => {
    const { outcome, log } = await run({ exitCode: 9 });
    expect(outcome.verdict.kind).toBe("passed");
    expect(log).toContain("kmemleak has turned itself off");
  });

  it("asks nothing of a kernel without it", async () => {
    const { guest } = await run({ stdout: `100.0 90.0\n${ofModule}` }, {});
    expect(guest.ran.filter((line) => line.includes("kmemleak"))).toEqual([]);
  });
});
