import { execa } from "execa";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CpuTime, type ProcessTimes } from "../../../matrix/cpuTime.ts";
import { parseStat, ProcessWatch } from "../../../matrix/processTimes.ts";

const process = (pid: number, parent: number, own: number, children = 0): ProcessTimes => ({
  ...{ pid, parent, started: pid, own, children },
});
const isRoot = ({ pid }: ProcessTimes): string | undefined => (pid === 1 ? "cell" : undefined);

describe("the processor time of a group", () => {
  it("is of its root and all that descends from it", () => {
    const times = new CpuTime();
    times.sample(
      [process(9, 0, 100), process(1, 9, 2), process(2, 1, 3), process(3, 2, 4)],
      isRoot,
    );
    expect(times.secondsOf("cell")).toBe(9);
    expect(times.secondsOf("another")).toBe(0);
  });

  it("counts a child that was waited for once", () => {
    const times = new CpuTime();
    times.sample([process(1, 0, 2), process(2, 1, 3)], isRoot);
    times.sample([process(1, 0, 2, 3.5)], isRoot);
    expect(times.secondsOf("cell")).toBe(5.5);
  });

  it("counts what was last seen of a child that nobody waited for", () => {
    const times = new CpuTime();
    times.sample([process(1, 0, 2), process(2, 1, 3), process(3, 2, 1)], isRoot);
    times.sample([process(1, 0, 2), process(3, 0, 1.5)], isRoot);
    expect(times.secondsOf("cell")).toBe(6.5);
    times.sample([], isRoot);
    expect(times.secondsOf("cell")).toBe(6.5);
  });

  it("counts a group that another has begun only once, also when it was waited for", () => {
    const times = new CpuTime();
    const groupOf = ({ pid }: ProcessTimes): string | undefined =>
      pid === 1 ? "matrix" : pid === 2 ? "cell" : undefined;
    times.sample([process(1, 0, 2), process(2, 1, 3), process(3, 1, 1)], groupOf);
    expect(times.secondsOf("matrix")).toBe(3);
    times.sample([process(1, 0, 2, 4)], groupOf);
    expect(times.secondsOf("matrix")).toBe(3);
    expect(times.secondsOf("cell")).toBe(3);
  });

  it("does not take another process for one whose number it has", () => {
    const times = new CpuTime();
    times.sample([process(1, 0, 2), process(2, 1, 3)], isRoot);
    times.sample([process(1, 0, 2, 3), { ...process(2, 7, 50), started: 99 }], isRoot);
    expect(times.secondsOf("cell")).toBe(5);
  });

  it("is that of the group that a process begins by running another program", () => {
    const times = new CpuTime();
    const groupOf = ({ pid, own }: ProcessTimes): string | undefined =>
      pid === 1 ? "matrix" : pid === 2 && own > 1 ? "guest" : undefined;
    times.sample([process(1, 0, 2), process(2, 1, 0.5)], groupOf);
    expect(times.secondsOf("matrix")).toBe(2.5);
    times.sample([process(1, 0, 2), process(2, 1, 30), process(3, 2, 1)], groupOf);
    times.sample([process(1, 0, 3), process(3, 1, 4)], groupOf);
    expect(times.secondsOf("matrix")).toBe(3);
    expect(times.secondsOf("guest")).toBe(34);
  });

  it("never shrinks, and is exact where everybody waits", () => {
    // Each step: a new child of a living process, work, or the end of a process without children.
    const step = fc.record({ kind: fc.constantFrom("fork", "work", "end", "look"), of: fc.nat() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const times = new CpuTime();
        let living = [{ ...process(1, 0, 0) }];
        let next = 2;
        let done = 0;
        let before = 0;
        for (const { kind, of } of steps) {
          const one = living[of % living.length];
          if (one === undefined) continue;
          if (kind === "fork") living.push({ ...process(next++, one.pid, 0) });
          if (kind === "work") {
            living = living.map((each) => (each === one ? { ...one, own: one.own + 1 } : each));
            done += 1;
          }
          const hasChildren = living.some(({ parent }) => parent === one.pid);
          if (kind === "end" && one.pid !== 1 && !hasChildren)
            living = living
              .filter((each) => each !== one)
              .map((each) =>
                each.pid === one.parent
                  ? { ...each, children: each.children + one.own + one.children }
                  : each,
              );
          if (kind !== "look") continue;
          times.sample(living, isRoot);
          expect(times.secondsOf("cell")).toBeGreaterThanOrEqual(before);
          before = times.secondsOf("cell");
        }
        times.sample(living, isRoot);
        expect(times.secondsOf("cell")).toBe(done);
      }),
    );
  });
});

describe("proc(5)", () => {
  it("reads a line whose name has blanks and parentheses", () => {
    const line = `12 (a) b (c) S 7 12 12 0 -1 4194304 1 2 3 4 150 50 300 25 20 0 1 0 4242 1000 10`;
    expect(parseStat(line)).toEqual({
      name: "a) b (c",
      pid: 12,
      parent: 7,
      started: 4242,
      own: 2,
      children: 3.25,
    });
    expect(parseStat("")).toBeUndefined();
  });

  it("measures a real process and its children", async () => {
    const watch = new ProcessWatch(() => undefined);
    // A shell whose child works, and which waits for it.
    const busy = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done";
    const child = execa("sh", ["-c", `sh -c '${busy}'; read -r _`]);
    watch.add(child.pid ?? 0, "cell");
    const deadline = performance.now() + 9_000;
    while (watch.secondsOf("cell") < 0.05 && performance.now() < deadline) await watch.look();
    expect(watch.secondsOf("cell")).toBeGreaterThanOrEqual(0.05);
    child.stdin.end("\n");
    await child;
  });
});
