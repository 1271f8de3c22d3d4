import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, it } from "vitest";
import { inRandomOrder, largestSeed, seedOf } from "../../../../lab/run/order.ts";

const names = fc.uniqueArray(fc.string(), { maxLength: 12 });
const named = (all: readonly string[]) => all.map((name) => ({ name }));
const order = (all: readonly string[], seed: number): string[] =>
  inRandomOrder(named(all), seed).map(({ name }) => name);

it("is decided by the seed, not by where a name stood before", () => {
  fc.assert(
    fc.property(names, fc.nat(), (all, seed) => {
      expect(order(all.toReversed(), seed)).toEqual(order(all, seed));
      expect(order(all, seed).toSorted()).toEqual(all.toSorted());
    }),
  );
});

it("stays the same among fewer names", () => {
  fc.assert(
    fc.property(names, fc.nat(), fc.func(fc.boolean()), (all, seed, wanted) => {
      const fewer = all.filter((name) => wanted(name));
      expect(order(fewer, seed)).toEqual(order(all, seed).filter((name) => fewer.includes(name)));
    }),
  );
});

it("is as documented, and differs between seeds", () => {
  const all = ["a", "b", "c", "d", "e", "f"];
  const hash = (name: string): string => createHash("sha256").update(`3 ${name}`).digest("hex");
  expect(order(all, 3)).toEqual(all.toSorted((a, b) => (hash(a) < hash(b) ? -1 : 1)));
  const orders = Array.from({ length: 20 }, (_, seed) => order(all, seed).join(""));
  expect(new Set(orders).size).toBeGreaterThan(15);
});

it("goes on to the next seed with each repetition", () => {
  expect([1, 2, 3].map((repetition) => seedOf(41, repetition))).toEqual([41, 42, 43]);
  expect(seedOf(largestSeed, 2)).toBe(0);
});
