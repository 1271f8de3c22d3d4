import { readFileSync, readdirSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { showsFinal, whyNotReady } from "../../../../lab/console/notReady.ts";
import { consoleLines } from "../../../../lab/console/consoleLines.ts";
import { anyCharacter } from "../../anyCharacter.ts";

// Real consoles. The first lines say what is expected; a new case is a new file.
const folder = new URL("../../../fixtures/console/", import.meta.url);
const fixtures = readdirSync(folder)
  .filter((name) => name.endsWith(".log"))
  .map((name) => {
    const [header = "", ...rest] = readFileSync(new URL(name, folder), "utf8").split("\n---\n");
    const field = (key: string): string =>
      new RegExp(`^${key}: (.*)$`, "m").exec(header)?.[1] ?? "";
    return {
      name,
      kind: field("kind"),
      reason: field("reason"),
      evidence: field("evidence"),
      final: field("final") === "yes",
      text: rest.join("\n---\n"),
    };
  });

describe("real consoles", () => {
  test("there are some", () => {
    expect(fixtures.length).toBeGreaterThan(5);
  });

  test.each(fixtures)("$name", ({ kind, reason, evidence, final, text }) => {
    const why = whyNotReady(text);
    expect(why).toMatchObject({ kind, reason, final });
    expect(why.evidence.join("\n")).toContain(evidence);
    expect(showsFinal(consoleLines(text))).toBe(final);
  });

  test.each(fixtures)("$name, on a terminal with colours and noise", ({ kind, text }) => {
    const noisy = text
      .split("\n")
      .map((line) => `\u001b[0;1;31m${line}\u001b[0m\u0000\r\n\u0001\u0002`)
      .join("");
    expect(whyNotReady(noisy).kind).toBe(kind);
  });
});

describe("any console", () => {
  const noise = fc.oneof(
    fc.string(),
    fc.string({ unit: anyCharacter }),
    fc.constantFrom(...fixtures.map(({ text }) => text.slice(-3000))),
  );

  test("gets an answer with lines of its own", () => {
    fc.assert(
      fc.property(fc.array(noise, { maxLength: 4 }), (parts) => {
        const text = parts.join("\n");
        const lines = new Set(consoleLines(text));
        const why = whyNotReady(text);
        expect(why.reason).not.toBe("");
        for (const line of why.evidence) expect(lines.has(line)).toBe(true);
        if (lines.size === 0) expect(why.kind).toBe("no-output");
      }),
    );
  });

  test("what an earlier boot said is no reason", () => {
    for (const { text, kind } of fixtures) {
      const next = `${text}\n[    0.000000] Linux version 6.1.0 (x)\n[    1.000000] fine\n`;
      if (kind === "slow") continue;
      expect(whyNotReady(next)).toMatchObject({ kind: "slow", final: false });
    }
  });
});

test("nothing printed is told from nothing wrong", () => {
  expect(whyNotReady("").kind).toBe("no-output");
  expect(whyNotReady("\r\n\u001b[2J\u001b[H").kind).toBe("no-output");
  expect(whyNotReady("hello").kind).toBe("slow");
});
