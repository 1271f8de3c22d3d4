import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import {
  formatDuration,
  named,
  printable,
  terminalProgress,
} from "../../../../lab/report/progress.ts";

function shown(act: (progress: ReturnType<typeof terminalProgress>) => void): string {
  const stream = new PassThrough();
  act(terminalProgress(stream));
  return String(stream.read())
    .replaceAll(/\[ *\d+\.\ds\]/g, "[t]")
    .replaceAll(/\(\d+\.\d s\)/g, "(d)");
}

describe("progress", () => {
  it("indents what happens inside a step", () => {
    const text = shown((progress) => {
      const outer = progress.step("image");
      const inner = progress.step("packages");
      progress.line("curl\nmake\n");
      inner.done();
      outer.failed("no space");
      progress.line("after");
    });
    expect(text).toBe(
      [
        "[t] image",
        "[t]   packages",
        "[t]     curl",
        "[t]     make",
        "[t]   packages: done (d)",
        "[t] image: failed, no space (d)",
        "[t] after",
        "",
      ].join("\n"),
    );
  });

  it("says the end of a step once", () => {
    const text = shown((progress) => {
      const step = progress.step("a");
      step.done();
      step.failed();
    });
    expect(text).toBe("[t] a\n[t] a: done (d)\n");
  });

  it("lets no control character through", () => {
    expect(shown((progress) => progress.line("a\u001b[31mred\u001b[0m\rb\u0007"))).toBe(
      "[t] aredb\n",
    );
    const note = shown((progress) => progress.step("a").failed("\u001b[2Jgone"));
    expect(note).toBe("[t] a\n[t] a: failed, gone (d)\n");
    expect(printable("tab\tand\nnewline")).toBe("tab\tand\nnewline");
    expect(printable("\u009b31mred\u009b0m \u009d0;title\u009c\u0085")).toBe("red 0;title");
    expect(printable("\u00a0é")).toBe("\u00a0é");
    expect(printable("not ok \u202edessap\u202c\u2066\u200f")).toBe("not ok dessap");
  });

  it.each([
    [0, "0.0 s"],
    [449, "0.4 s"],
    [59_949, "59.9 s"],
    [59_950, "1 min 00 s"],
    [125_400, "2 min 05 s"],
    [3_600_000, "60 min 00 s"],
  ])("%i ms is %s", (milliseconds, text) => {
    expect(formatDuration(milliseconds)).toBe(text);
  });
});

describe("progress of one of several", () => {
  it("has the name on each line and says the end of a step once", () => {
    const text = shown((progress) => {
      const first = named(progress, "first");
      const second = named(progress, "second");
      const step = first.step("copy");
      const other = second.step("load");
      first.line("a\nb\n");
      step.done("3 files\n2 links");
      step.failed();
      other.failed();
    });
    expect(text).toBe(
      [
        "[t] first: a",
        "[t] first: b",
        "[t] first: copy: done, 3 files",
        "[t] first: 2 links (d)",
        "[t] second: load: failed (d)",
        "",
      ].join("\n"),
    );
  });
});
