import { spawn } from "node:child_process";
import { once } from "node:events";
import { getPriority } from "node:os";
import { describe, expect, it } from "vitest";
import { giveWay, GuestPriorities, guestsThatGoFirst } from "../../../matrix/priorities.ts";

describe("guests that go first", () => {
  it("are as many as the host has processors for, but one in any case", () => {
    expect(guestsThatGoFirst([2, 2], 2)).toBe(1);
    expect(guestsThatGoFirst([1, 2], 8)).toBe(4);
    expect(guestsThatGoFirst([4], 2)).toBe(1);
    expect(guestsThatGoFirst([], 3)).toBe(3);
  });

  it("leave their place to the next one that begins, also when they fail", async () => {
    const told: string[] = [];
    const priorities = new GuestPriorities(1, (pid, nice) => {
      told.push(`${pid}: ${nice}`);
      return Promise.resolve();
    });
    const ends = new Map<string, () => void>();
    const begin = async (stack: string): Promise<void> =>
      priorities.during(stack, async () => {
        await new Promise<void>((resolve) => ends.set(stack, resolve));
        if (stack === "first") throw new Error("it failed");
      });
    const first = begin("first");
    const second = begin("second");
    await priorities.seen("first", 11);
    await priorities.seen("second", 21);
    await priorities.seen("second", 22);
    await priorities.seen("unknown", 31);
    expect(told).toEqual(["21: 5", "22: 5"]);
    ends.get("first")?.();
    await expect(first).rejects.toThrow("it failed");
    const third = begin("third");
    await priorities.seen("third", 41);
    await priorities.seen("second", 23);
    expect(told).toEqual(["21: 5", "22: 5", "23: 5"]);
    for (const end of ends.values()) end();
    await Promise.all([second, third]);
  });
});

describe("a build that gives way", () => {
  it("does so with all that it starts, and may have ended", async () => {
    const child = spawn("sh", ["-c", "read -r _; nice"], { stdio: ["pipe", "pipe", "ignore"] });
    giveWay(child.pid ?? 0);
    child.stdin.end("\n");
    const [said] = (await once(child.stdout, "data")) as [Buffer];
    expect(Number(said.toString())).toBe(10);
    await once(child, "exit");
    giveWay(child.pid ?? 0);
    expect(getPriority()).toBeLessThan(10);
  });
});
