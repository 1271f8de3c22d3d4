import fc from "fast-check";
import { expect, test } from "vitest";
import { LineSplitter, overlong } from "../../../../lab/guest/controlLines.ts";

const limit = 8;

/** Cuts bytes at random places. */
const cutBytes = fc
  .tuple(
    fc.array(fc.constantFrom(0x0a, 0x61, 0xc3, 0xa9), { maxLength: 120, size: "max" }),
    fc.array(fc.nat(120), { maxLength: 12 }),
  )
  .map(([bytes, cuts]) => {
    const whole = Buffer.from(bytes);
    const places = [0, ...cuts.map((cut) => Math.min(cut, whole.length)), whole.length];
    places.sort((a, b) => a - b);
    const pieces = places.slice(1).map((end, index) => whole.subarray(places[index], end));
    return { whole, pieces };
  });

test("the lines are the same wherever the stream was cut, and none is longer than the limit", () => {
  fc.assert(
    fc.property(cutBytes, ({ whole, pieces }) => {
      const splitter = new LineSplitter(limit);
      const lines = pieces.flatMap((piece) => splitter.push(piece));
      const all = whole.toString("latin1").split("\n");
      const rest = all.pop() ?? "";
      const expected = all
        .filter((line) => line !== "")
        .map((line) => (line.length > limit ? overlong : line));
      expect(lines.map((line) => (line === overlong ? line : line.toString("latin1")))).toEqual(
        expected,
      );
      expect(splitter.isOverlong).toBe(rest.length > limit);
    }),
  );
});
