/** docs/security.md names a test for each claim: that they are there. */
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";

const root = new URL("../../../", import.meta.url);

test("every claim of docs/security.md names tests that exist", async () => {
  const page = await readFile(new URL("docs/security.md", root), "utf8");
  const claims = page.split("\n").filter((line) => /^\|.*\|.*`(unit|e2e|faults)\//.test(line));
  expect(claims.length).toBeGreaterThan(25);
  const proofs = claims.flatMap((claim) =>
    claim
      .split(/(?=`(?:unit|e2e|faults)\/)/)
      .slice(1)
      .map((part) => ({
        file: /^`([^`]+)`/.exec(part)?.[1] ?? "",
        cases: [...part.matchAll(/[ ;]_([^_]+)_/g)].map(([, name = ""]) => name),
      })),
  );
  for (const { file, cases } of proofs) {
    const text = await readFile(new URL(`test/${file}`, root), "utf8");
    if (file.endsWith(".test.ts")) expect([file, cases.length]).not.toEqual([file, 0]);
    for (const name of cases)
      for (const words of name.split("…")) expect(text, `${file}: ${name}`).toContain(words.trim());
  }
});
