import { describe, expect, it } from "vitest";
import { renderTable } from "../../../../lab/report/table.ts";
import { crash, crashed, measured, mixed, notLoaded, suite } from "./report.ts";

describe("the verdict in the terminal", () => {
  it.each([
    ["mixed", mixed],
    ["crashed", crashed],
    ["load-failed", notLoaded],
    ["measured", measured],
  ])("of a %s run", async (name, report) => {
    await expect(renderTable(report)).toMatchFileSnapshot(`__snapshots__/table-${name}.txt`);
  });

  it("says that another guest was taken, and why", () => {
    const reason = "the guest stopped\u001b[2J";
    const text = renderTable({ ...mixed, retried: [{ reason, suites: ["mount"] }] });
    expect(text).toMatch(/^! run again in another guest: the guest stopped$/m);
    // eslint-disable-next-line no-control-regex
    expect(text).not.toMatch(/\u001b/);
  });

  it("lists failures before the table and ends with the verdict", () => {
    const text = renderTable(mixed);
    expect(text.indexOf("✗ mount: read / back")).toBeLessThan(text.indexOf("┌"));
    expect(text.indexOf("FAILED suite mount")).toBeGreaterThan(text.indexOf("└"));
  });

  it("lets no escape sequence of the guest through", () => {
    const evil = "\u001b[2J\u001b]0;title\u0007gone\r";
    const result = {
      suite: "s",
      name: evil,
      outcome: "failed" as const,
      milliseconds: 1,
      diagnostics: [evil],
    };
    const text = renderTable({
      ...mixed,
      reason: evil,
      kernelRelease: evil,
      crashes: [{ ...crash, title: evil, case: evil, lines: [evil], frames: [] }],
      suites: [suite("s", [result], { problems: [evil] })],
    });
    // eslint-disable-next-line no-control-regex
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
  });

  it("cuts long diagnostics and says so", () => {
    const diagnostics = Array.from({ length: 50 }, (_, index) => `line ${index}.`);
    const failed = { suite: "s", name: "a", outcome: "failed" as const, milliseconds: 1 };
    const text = renderTable({ ...mixed, suites: [suite("s", [{ ...failed, diagnostics }])] });
    expect(text).toContain("line 49.");
    expect(text).not.toContain("line 29.");
    expect(text).toContain("30 more lines in the log");
  });
});
