import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { Phases } from "../../../../lab/report/phases.ts";

it("adds up parts of one name, in the order in which they first ended", async () => {
  const phases = new Phases();
  const slow = phases.time("slow", () => delay(60));
  await phases.time("quick", () => delay(20));
  await phases.time("quick", () => delay(20));
  await slow;
  expect(phases.all.map(({ name }) => name)).toEqual(["quick", "slow"]);
  const [quick = 0, whole = 0] = phases.all.map(({ milliseconds }) => milliseconds);
  expect(quick).toBeGreaterThanOrEqual(38);
  expect(whole).toBeGreaterThanOrEqual(58);
  expect(phases.all.every(({ milliseconds }) => Number.isInteger(milliseconds))).toBe(true);
});

it("gives what the work gives, and takes the time of work that fails", async () => {
  const phases = new Phases();
  expect(await phases.time("a", () => Promise.resolve(7))).toBe(7);
  await expect(phases.time("b", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(phases.all.map(({ name }) => name)).toEqual(["a", "b"]);
  expect(new Phases().all).toEqual([]);
});
