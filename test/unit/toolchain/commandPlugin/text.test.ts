import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  CommandFailure,
  endingText,
  errorLimit,
  quoted,
} from "../../../../toolchain/command-plugin/commandFailure.ts";
import { LineSplitter } from "../../../../toolchain/command-plugin/lineSplitter.ts";

function split(...chunks: Buffer[]): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line));
  chunks.forEach((chunk) => splitter.write(chunk));
  splitter.end();
  return lines;
}

describe("LineSplitter", () => {
  it("gives lines without their ends, empty ones too, and the last without one", () => {
    expect(split(Buffer.from("a\n\nb\r\nc"))).toEqual(["a", "", "b", "c"]);
    expect(split(Buffer.from("a\n"))).toEqual(["a"]);
    expect(split()).toEqual([]);
  });

  it("gives the same lines however the bytes are cut", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.array(fc.nat(100)), (text, cuts) => {
        const bytes = Buffer.from(text);
        const chunks: Buffer[] = [];
        let at = 0;
        for (const cut of cuts) chunks.push(bytes.subarray(at, (at += cut)));
        chunks.push(bytes.subarray(at));
        expect(split(...chunks)).toEqual(split(bytes));
      }),
    );
  });

  it("hands a line on in pieces rather than hold it all", () => {
    const pieces = split(...Array.from({ length: 40 }, () => Buffer.alloc(8192, "x")));
    expect(pieces.length).toBeGreaterThan(2);
    expect(pieces.join("")).toBe("x".repeat(40 * 8192));
  });
});

describe("a command's failure", () => {
  it("is told as users know it", () => {
    const failure = new CommandFailure("exit status 3", 'echo "a"\n', "out\nerr\n");
    expect(failure.message).toBe('exit status 3: running "echo \\"a\\"\\n":\nout\nerr\n');
  });

  it("names exit status or signal, and no success", () => {
    expect(endingText({ exitCode: 0, signal: null })).toBeUndefined();
    expect(endingText({ exitCode: 42, signal: null })).toBe("exit status 42");
    expect(endingText({ exitCode: null, signal: "SIGKILL" })).toBe("signal: killed");
    expect(endingText({ exitCode: null, signal: "SIGSEGV" })).toBe("signal: segmentation fault");
    expect(endingText({ exitCode: null, signal: "SIGWINCH" })).toBe("signal: signal 28");
  });

  it.each(["a", "%", "é", "漢", "𝄞", "\n"])(
    "keeps the end of an output that no message could carry: %j",
    (character) => {
      const { message } = new CommandFailure(
        "exit status 1",
        "x",
        `${character.repeat(99_999)}end`,
      );
      expect(message).toMatch(/:\n\(the first \d+ characters are left out\)\n/);
      expect(message.endsWith(`${character}end`)).toBe(true);
      expect(encodeURI(message).length).toBeLessThanOrEqual(errorLimit);
      expect(encodeURI(message).length).toBeGreaterThan(errorLimit - 200);
    },
  );

  it("leaves out a command that no message could carry", () => {
    const { message } = new CommandFailure("exit status 1", "x".repeat(100_000), "out");
    expect(message).toBe("exit status 1: running a long command:\nout");
  });

  it.each([
    ["plain ünï 漢", '"plain ünï 漢"'],
    ["\x07\b\f\n\r\t\v", '"\\a\\b\\f\\n\\r\\t\\v"'],
    ["\x1b\x7f", '"\\x1b\\x7f"'],
    ["\u00a0\u200b", '"\\u00a0\\u200b"'],
    ["\\", '"\\\\"'],
  ])("quotes %j", (text, expected) => {
    expect(quoted(text)).toBe(expected);
  });
});
