import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { attributesOf } from "../../../../lab/run/attributes.ts";

describe("what a suite says about a case", () => {
  it("is taken out of what it says to people", () => {
    const lines = [
      "selected: 3 of 20",
      " RUN           fs.write ...",
      "expected 1",
      "tags: slow io slow",
      "measure: sequential_write=12.5 MB/s",
      "measure: latency.p99=3e-3 s",
      "measure: inodes=-4 inodes per block",
    ];
    expect(attributesOf(lines)).toEqual({
      announced: "fs.write",
      tags: ["slow", "io"],
      measures: [
        { name: "sequential_write", value: 12.5, unit: "MB/s" },
        { name: "latency.p99", value: 0.003, unit: "s" },
        { name: "inodes", value: -4, unit: "inodes per block" },
      ],
      selected: { count: 3, of: 20 },
      rest: ["expected 1"],
    });
  });

  it.each([
    "measure: speed=fast MB/s",
    "measure: speed=12",
    "measure: =12 s",
    "measure: speed=1e999 s",
    "measures: speed=12 s",
    "selected: all of 20",
    "tags:",
    "RUN",
    "RUNNING late",
  ])("is only what has the right form: %j stays", (line) => {
    expect(attributesOf([line])).toEqual({
      announced: undefined,
      tags: [],
      measures: [],
      selected: undefined,
      rest: [line],
    });
  });

  it("loses no line, whatever they are", () => {
    const kind = fc.constantFrom("measure: a=", "tags: ", "selected: ", "RUN ", "");
    const line = fc.tuple(kind, fc.string({ unit: "grapheme" })).map((parts) => parts.join(""));
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const { announced, tags, measures, selected, rest } = attributesOf(lines);
        expect(lines).toEqual(expect.arrayContaining([...rest]));
        const said = tags.length + measures.length + (announced ? 1 : 0) + (selected ? 1 : 0);
        expect(said > 0).toBe(rest.length < lines.length);
        for (const { value, unit } of measures)
          expect([Number.isFinite(value), unit !== ""]).toEqual([true, true]);
      }),
    );
  });

  it("is found at once in lines that are made to take long", () => {
    const spaces = " ".repeat(16_000);
    const evil = ["tags: x", "RUN x", "measure: a=1 s", "selected: 1 of 2"];
    const began = performance.now();
    attributesOf(evil.flatMap((words) => Array<string>(10).fill(`${words}${spaces}y`)));
    expect(performance.now() - began).toBeLessThan(1000);
  });

  it("gives back any measure that is written down", () => {
    const value = fc.double({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z][\w.-]*$/), value, (name, number) => {
        const [measure] = attributesOf([`measure: ${name}=${number} ms`]).measures;
        expect(measure).toEqual({
          name,
          value: number === 0 ? (expect.closeTo(0) as number) : number,
          unit: "ms",
        });
      }),
    );
  });
});
