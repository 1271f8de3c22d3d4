import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareVersions } from "../../../../lab/image/debianVersion.ts";

/** Versions with what deb-version(7) makes special. */
const version = fc
  .tuple(
    fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
    fc.stringMatching(/^[0-9][0-9a-zA-Z.+~]{0,6}$/),
    fc.option(fc.stringMatching(/^[0-9a-zA-Z.+~]{1,5}$/), { nil: undefined }),
  )
  .map(
    ([epoch, upstream, revision]) =>
      `${epoch === undefined ? "" : `${epoch}:`}${upstream}${revision === undefined ? "" : `-${revision}`}`,
  );

describe("compareVersions", () => {
  // deb-version(7), and what Debian's kernels have been called.
  it.each([
    ["1.0~beta1~svn1245", "1.0~beta1"],
    ["1.0~beta1", "1.0"],
    ["1.0~~", "1.0~~a"],
    ["1.0~~a", "1.0~"],
    ["1.0-0.1", "1.0-1"],
    ["9", "10"],
    ["0.9", "1:0.1"],
    ["6.1.99-1", "6.1.176-1"],
    ["6.12.95-1~bpo12+1", "6.12.95-1"],
    ["6.12.117-1~deb12u1", "6.12.117-1"],
    ["6.12.115-1", "6.12.115-2"],
    ["5.10.262-1", "6.1.180-1~deb11u1"],
    ["2.36-9+deb12u9", "2.36-9+deb12u10"],
    ["1.2a", "1.2+"],
    ["99999999999999999998", "99999999999999999999"],
  ])("%s is older than %s", (older, newer) => {
    expect(compareVersions(older, newer)).toBeLessThan(0);
    expect(compareVersions(newer, older)).toBeGreaterThan(0);
  });

  it.each([
    ["1.0", "1.0-0"],
    ["0:1.0", "1.0"],
    ["1.007", "1.7"],
  ])("%s is as old as %s", (one, other) => {
    expect(compareVersions(one, other)).toBe(0);
  });

  it("is an order", () => {
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(compareVersions(a, a)).toBe(0);
        expect(Math.sign(compareVersions(a, b))).toBe(0 - Math.sign(compareVersions(b, a)));
        const [first = a, second = b, third = c] = [a, b, c].sort(compareVersions);
        expect(compareVersions(first, second)).toBeLessThanOrEqual(0);
        expect(compareVersions(second, third)).toBeLessThanOrEqual(0);
        expect(compareVersions(first, third)).toBeLessThanOrEqual(0);
      }),
    );
  });
});
