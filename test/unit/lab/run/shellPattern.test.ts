import { execa } from "execa";
import fc from "fast-check";
import { expect, it } from "vitest";
import { matches } from "../../../../lab/run/shellPattern.ts";

it.each([
  ["struct*", "struct inode is read (32/64 bit)", true],
  ["struct*", "a struct", false],
  ["?", "\u{1f600}", true],
  ["[]a]", "]", true],
  ["[!]a]", "]", false],
  ["[!]", "[!]", true],
  ["[]", "[]", true],
  ["[a-]", "-", true],
  ["a.c", "abc", false],
  ["", "", true],
])("%j for %j is %j", (pattern, text, expected) => {
  expect(matches(pattern, text)).toBe(expected);
});

// Many at once: a shell for each would take minutes.
const script = `while [ $# -gt 0 ]; do case $2 in $1) printf 1;; *) printf 0;; esac; shift 2; done`;

it("means what the shell means", async () => {
  const word = (characters: string): fc.Arbitrary<string> =>
    fc.string({ unit: fc.constantFrom(...Array.from(characters)), maxLength: 6 });
  const pairs = fc.array(fc.tuple(word("*?[]!-abc /.({$|"), word("abc-/. [](!")), {
    minLength: 2_000,
    maxLength: 2_000,
    size: "max",
  });
  await fc.assert(
    fc.asyncProperty(pairs, async (all) => {
      const { stdout } = await execa("sh", ["-c", script, "sh", ...all.flat()], {
        env: { LC_ALL: "C" },
      });
      const wrong = all.filter(([p, text], index) => matches(p, text) !== (stdout[index] === "1"));
      expect(wrong).toEqual([]);
      expect(stdout).toContain("1");
    }),
    { numRuns: 3, endOnFailure: true },
  );
});
