import fc from "fast-check";
import { expect, test } from "vitest";
import { ConsoleLines, consoleLines } from "../../../../lab/console/consoleLines.ts";

test("colours, carriage returns, titles and noise are gone; text stays", () => {
  const text =
    "[\u001b[0;32m  OK  \u001b[0m] Started\r\n\u001b]0;title\u0007a\u0000b\tc\r[1/2]\r[2/2]\r\n\r\nlogin: ";
  expect(consoleLines(text)).toEqual(["[  OK  ] Started", "ab\tc", "[1/2]", "[2/2]", "login:"]);
});

test("it does not matter where the chunks are cut", () => {
  const piece = fc.oneof(
    fc.constantFrom(
      "\r",
      "\n",
      "\r\n",
      "\u001b[0m",
      "\u001b[1;31m",
      "\u001b]0;t\u0007",
      "text",
      "é",
    ),
    fc.string(),
  );
  fc.assert(
    fc.property(
      fc.array(piece).map((pieces) => pieces.join("")),
      fc.array(fc.nat(), { maxLength: 8 }),
      (text, cuts) => {
        const lines = new ConsoleLines();
        const found: string[] = [];
        const places = cuts.map((cut) => cut % (text.length + 1)).sort((a, b) => a - b);
        let from = 0;
        for (const to of [...places, text.length]) {
          found.push(...lines.push(text.slice(from, to)));
          from = to;
        }
        if (lines.partial !== "") found.push(lines.partial);
        expect(found).toEqual(consoleLines(text));
        // eslint-disable-next-line no-control-regex
        for (const line of found) expect(line).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f]/);
      },
    ),
    { numRuns: 400 },
  );
});

test("a guest that prints no line end does not fill the memory", () => {
  const lines = new ConsoleLines();
  for (let i = 0; i < 1000; i++) lines.push("x".repeat(1000));
  expect(lines.partial.length).toBeLessThan(10_000);
});

test("the end of a line that is too long may be cut, too", () => {
  const lines = new ConsoleLines();
  const long = "x".repeat(9000);
  const found = [`${long}\r`, "next\r", "\nlast\n"].flatMap((chunk) => lines.push(chunk));
  expect(found).toEqual(consoleLines(`${long}\rnext\r\nlast\n`));
  expect(found.slice(1)).toEqual(["next", "last"]);
});
