import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { pathFilter } from "../../../../toolchain/command-plugin/pathPattern.ts";

describe("pathFilter", () => {
  it.each([
    ["*", "file", true],
    ["*", "folder/file", false],
    ["**", "folder/file", true],
    ["src/**.js", "src/deep/a.js", true],
    ["**/a", "a", false],
    ["**/a", "x/y/a", true],
    ["a?c", "abc", true],
    ["a?c", "a/c", false],
    ["[a-c]x", "bx", true],
    ["[!a-c]x", "bx", false],
    ["[abc]x", "dx", false],
    ["{a,b*}.txt", "bcd.txt", true],
    ["{a,b*}.txt", "c.txt", false],
    ["{a,{b,c}}", "c", true],
    ["\\*", "*", true],
    ["\\*", "x", false],
    ["a.b", "axb", false],
    ["a,b", "a,b", true],
    ["a", "xa", false],
  ])("%s on %s: %s", (pattern, path, selected) => {
    expect(pathFilter([pattern])(path)).toBe(selected);
  });

  it("lets the last rule that matches decide", () => {
    const filter = pathFilter(["assets/**", "src/**.js", "!**secret.*"]);
    const paths = ["assets/logos/logo.svg", "src/index.js", "src/secret.js", "readme"];
    expect(paths.filter(filter)).toEqual(["assets/logos/logo.svg", "src/index.js"]);
    expect(pathFilter(["!a", "a"])("a")).toBe(true);
    expect(pathFilter([])("a")).toBe(false);
  });

  it.each(["[a", "{a", "a\\"])("names the pattern %s that is wrong", (pattern) => {
    expect(() => pathFilter([pattern])).toThrow(`the path pattern "${pattern}"`);
  });

  it("takes any text literally once it is escaped", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.string(), (text, other) => {
        const filter = pathFilter([text.replace(/[^]/g, "\\$&")]);
        expect(filter(text)).toBe(true);
        expect(filter(other)).toBe(other === text);
      }),
    );
  });
});
