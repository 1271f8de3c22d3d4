import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { create } from "xmlbuilder2";
import { renderJunit } from "../../../../lab/report/junit.ts";
import { crashed, measured, mixed, notLoaded, suite } from "./report.ts";

describe("junit.xml", () => {
  it.each([
    ["mixed", mixed],
    ["crashed", crashed],
    ["load-failed", notLoaded],
    ["measured", measured],
  ])("of a %s run", async (name, report) => {
    await expect(renderJunit(report)).toMatchFileSnapshot(`__snapshots__/junit-${name}.xml`);
  });

  it("has the reason with the suites that ran in another guest, and with no others", () => {
    const text = renderJunit({ ...mixed, retried: [{ reason: "no <guest>", suites: ["mount"] }] });
    expect(text.match(/<property name="retried" value="no &lt;guest>"\/>/g)).toHaveLength(1);
    expect(text.indexOf('name="retried"')).toBeLessThan(text.indexOf('name="vector"'));
  });

  it("shows an error for every verdict but passed", () => {
    for (const report of [mixed, crashed, notLoaded])
      expect(renderJunit(report)).toMatch(/<(failure|error) /);
    expect(renderJunit({ ...mixed, verdict: "cancelled", suites: [] })).toMatch(/<error /);
    // All cases passed, and still the run did not: the module stayed loaded, the guest was lost.
    const passed = {
      suite: "s",
      name: "a",
      outcome: "passed" as const,
      milliseconds: 1,
      diagnostics: [],
    };
    for (const verdict of ["failed", "crashed", "hung", "infrastructure-failed"] as const) {
      const report = { ...mixed, verdict, suites: [suite("s", [passed])] };
      expect(renderJunit(report)).toMatch(new RegExp(`<error message=.* type="${verdict}"`));
    }
    expect(
      renderJunit({ ...mixed, verdict: "passed", suites: [suite("s", [passed])] }),
    ).not.toMatch(/<(failure|error) /);
  });

  it("has no character that XML can't hold", () => {
    const result = {
      suite: "s",
      name: "a\ufffe\ud800b\u0000\u{1f600}",
      outcome: "failed" as const,
      milliseconds: 1,
      diagnostics: ["c\udc00d\uffff"],
    };
    const kernelRelease = "6.1\u0000\ud800\u001b[2J";
    const text = renderJunit({ ...mixed, kernelRelease, suites: [suite("s", [result])] });
    expect(text).toContain('value="6.1\ufffd"');
    expect(text).toContain("a\ufffd\ufffdb\u{1f600}");
    expect(text).toContain("c\ufffdd\ufffd");
  });

  it("is well-formed whatever the guest printed", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string(), (text, name) => {
        const result = {
          suite: "s",
          name: name + text,
          outcome: "failed" as const,
          milliseconds: 1,
          diagnostics: [text, "]]>"],
        };
        const report = {
          ...mixed,
          kernelRelease: text,
          suites: [suite("s", [result], { problems: [text], tail: [text] })],
        };
        expect(() => create(renderJunit(report))).not.toThrow();
      }),
      { numRuns: 15 },
    );
  });
});
