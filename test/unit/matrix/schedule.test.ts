import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { runTasks, type Work } from "../../../matrix/runTasks.ts";
import { fits, startable, taken, type Need, type Task } from "../../../matrix/schedule.ts";

const budget: Need = { memoryMiB: 10, cores: 3 };
const need = fc.record({
  memoryMiB: fc.integer({ min: 0, max: 10 }),
  cores: fc.integer({ min: 0, max: 3 }),
});
/** Tasks that wait only for those before them. */
const tasks = fc
  .array(
    fc.record({
      need,
      after: fc.array(fc.nat(), { maxLength: 2 }),
      makes: fc.option(fc.constantFrom("a", "b"), { nil: undefined }),
      expectedSeconds: fc.option(fc.nat(9), { nil: undefined }),
      ticks: fc.integer({ min: 1, max: 4 }),
      makesAfter: fc.nat(3),
    }),
    { maxLength: 12 },
  )
  .map((list) =>
    list.map(({ after, makes, expectedSeconds, ...rest }, index) => ({
      ...rest,
      id: String(index),
      after: index === 0 ? [] : after.map((each) => String(each % index)),
      ...(makes !== undefined && { makes }),
      ...(expectedSeconds !== undefined && { expectedSeconds }),
    })),
  );

describe("the schedule", () => {
  it("never takes more than the budget, leaves nothing idle that fits, and does all once", () => {
    fc.assert(
      fc.property(tasks, (all) => {
        let waiting = [...all];
        let running: { task: (typeof all)[number]; left: number; age: number }[] = [];
        const ended = new Set<string>();
        const made = new Set<string>();
        const started: string[] = [];
        for (let tick = 0; waiting.length > 0 || running.length > 0; tick++) {
          expect(tick).toBeLessThan(100);
          const start = startable(
            { waiting, running: running.map(({ task }) => task), ended, made },
            budget,
          );
          for (const { id } of start) {
            const task = all.find((each) => each.id === id);
            if (task === undefined) throw new Error(id);
            expect(task.after.every((each) => ended.has(each))).toBe(true);
            started.push(id);
            running.push({ task, left: task.ticks, age: 0 });
          }
          waiting = waiting.filter(({ id }) => !started.includes(id));
          const used = taken(running.map(({ task }) => task));
          expect(fits(used, budget)).toBe(true);
          // Only one at a time makes what isn't made.
          for (const key of ["a", "b"])
            if (!made.has(key))
              expect(running.filter(({ task }) => task.makes === key).length).toBeLessThanOrEqual(
                1,
              );
          const free = {
            memoryMiB: budget.memoryMiB - used.memoryMiB,
            cores: budget.cores - used.cores,
          };
          for (const task of waiting) {
            const could =
              task.after.every((each) => ended.has(each)) &&
              (task.makes === undefined ||
                made.has(task.makes) ||
                !running.some((each) => each.task.makes === task.makes));
            expect(could && fits(task.need, free)).toBe(false);
          }
          for (const each of running) {
            each.left -= 1;
            each.age += 1;
            if (each.task.makes !== undefined && each.age > each.task.makesAfter)
              made.add(each.task.makes);
          }
          for (const each of running.filter(({ left }) => left === 0)) ended.add(each.task.id);
          running = running.filter(({ left }) => left > 0);
        }
        expect(started.toSorted()).toEqual(all.map(({ id }) => id).toSorted());
      }),
    );
  });

  it("starts what takes longest first, and what is not known before it", () => {
    const task = (id: string, expectedSeconds?: number): Task => ({
      ...{ id, need: { memoryMiB: 1, cores: 1 }, after: [] },
      ...(expectedSeconds !== undefined && { expectedSeconds }),
    });
    const waiting = [task("short", 1), task("long", 9), task("new"), task("other")];
    const state = { waiting, running: [], ended: new Set<string>(), made: new Set<string>() };
    expect(startable(state, budget).map(({ id }) => id)).toEqual(["new", "other", "long"]);
  });
});

describe("work that is done as scheduled", () => {
  const one = { memoryMiB: 1, cores: 1 };
  const work = (id: string, run: Work["run"], more: Partial<Work> = {}): Work => ({
    ...{ id, need: one, after: [], run },
    ...more,
  });

  it("waits for what is made, not for the end of its maker", async () => {
    const order: string[] = [];
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    const all = [
      work(
        "maker",
        async (made) => {
          order.push("making");
          await Promise.resolve();
          made();
          await held;
          order.push("maker ended");
        },
        { makes: "guest" },
      ),
      work(
        "user",
        () => {
          order.push("user");
          letGo();
          return Promise.resolve();
        },
        { makes: "guest" },
      ),
    ];
    expect(await runTasks(all, budget, new AbortController().signal)).toEqual([]);
    expect(order).toEqual(["making", "user", "maker ended"]);
  });

  it("starts nothing more after a cancellation, and waits for what runs", async () => {
    const cancel = new AbortController();
    let ended = false;
    const all = [
      work("first", async () => {
        cancel.abort();
        await new Promise((resolve) => setTimeout(resolve, 20));
        ended = true;
      }),
      work("second", () => Promise.reject(new Error("started")), { after: ["first"] }),
    ];
    expect(await runTasks(all, budget, cancel.signal)).toEqual(["second"]);
    expect(ended).toBe(true);
  });

  it("one that throws ends the whole, when what runs has ended", async () => {
    let ended = false;
    const all = [
      work("bad", () => Promise.reject(new Error("a fault of our own"))),
      work("good", async () => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        ended = true;
      }),
    ];
    await expect(runTasks(all, budget, new AbortController().signal)).rejects.toThrow(
      "a fault of our own",
    );
    expect(ended).toBe(true);
  });

  it("says what can never start", async () => {
    const all = [work("big", () => Promise.resolve(), { need: { memoryMiB: 11, cores: 1 } })];
    await expect(runTasks(all, budget, new AbortController().signal)).rejects.toThrow("big");
  });
});
