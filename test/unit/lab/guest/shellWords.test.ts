import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { shellWords } from "../../../../lab/guest/shellWords.ts";
import { anyCharacter } from "../../anyCharacter.ts";

// One line, one process: what a real shell makes of it, words ended by NUL.
function wordsOfShell(line: string): string[] {
  const out = execFileSync("/bin/sh", ["-c", `printf '%s\\0' ${line}`], { encoding: "utf8" });
  return out.split("\0").slice(0, -1);
}

test("a real shell finds the same words again", () => {
  const word = fc.oneof(
    fc.string({ unit: anyCharacter }).filter((text) => !/[\0\ud800-\udfff]/.test(text)),
    fc.string({
      unit: fc.constantFrom(..."'\"\\$`!*?~#&|;<>(){}[] \n\r\t=%^-ax".split("")),
      maxLength: 12,
    }),
  );
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 150 }), (words) => {
      expect(wordsOfShell(shellWords(words))).toEqual(words);
    }),
    { numRuns: 12 },
  );
});

test("nothing that no program could be given", () => {
  expect(() => shellWords([])).toThrow(TypeError);
  expect(() => shellWords(["a\0b"])).toThrow(/NUL/);
});
