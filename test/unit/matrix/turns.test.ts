import { spawn } from "node:child_process";
import { once } from "node:events";
import { getPriority } from "node:os";
import { setImmediate as soon } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { Cell } from "../../../matrix/cells.ts";
import { guestsAtOnce, turnsOf, yieldToGuests } from "../../../matrix/turns.ts";

const cell = (cpus: number): Cell => ({ config: { cpus } }) as unknown as Cell;

describe("guests at once", () => {
  it("are as many as the host has processors for, but one in any case", () => {
    expect(guestsAtOnce([2, 2], 2)).toBe(1);
    expect(guestsAtOnce([1, 2], 8)).toBe(4);
    expect(guestsAtOnce([4], 2)).toBe(1);
    expect(guestsAtOnce([], 3)).toBe(3);
  });

  it("wait for their turn when they are emulated, in the order in which they asked", async () => {
    const [first, second, third, native] = [cell(2), cell(2), cell(2), cell(2)];
    const cells = [first, second, third, native] as Cell[];
    const turn = await turnsOf(cells, 2, (each) => Promise.resolve(each !== native));
    const told: string[] = [];
    const ends: (() => void)[] = [];
    const work = (each: Cell | undefined, name: string): Promise<void> =>
      turn(each as Cell, async () => {
        told.push(name);
        await new Promise<void>((resolve) => ends.push(resolve));
        if (name === "first") throw new Error("it failed");
      });
    const all = [work(first, "first"), work(second, "second"), work(third, "third")];
    const failed = expect(all[0]).rejects.toThrow("it failed");
    const beside = work(native, "native");
    await soon();
    expect(told).toEqual(["native", "first"]);
    ends[1]?.();
    await failed;
    await soon();
    expect(told).toEqual(["native", "first", "second"]);
    for (const end of ends) end();
    await all[1];
    await soon();
    for (const end of ends) end();
    await Promise.all([all[2], beside]);
    expect(told).toEqual(["native", "first", "second", "third"]);
  });
});

describe("a build that gives way to guests", () => {
  it("does so with all that it starts, and may have ended", async () => {
    const child = spawn("sh", ["-c", "read -r _; nice"], { stdio: ["pipe", "pipe", "ignore"] });
    yieldToGuests(child.pid ?? 0);
    child.stdin.end("\n");
    const [said] = (await once(child.stdout, "data")) as [Buffer];
    expect(Number(said.toString())).toBe(19);
    await once(child, "exit");
    yieldToGuests(child.pid ?? 0);
    expect(getPriority()).toBeLessThan(19);
  });
});
