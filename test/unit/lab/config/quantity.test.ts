import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  durationPattern,
  formatDuration,
  formatSize,
  parseDuration,
  parseSize,
  sizePattern,
} from "../../../../lab/config/quantity.ts";

describe("sizes", () => {
  it.each([
    ["4G", 4096],
    ["2048M", 2048],
    ["1.5G", 1536],
    ["1T", 1024 * 1024],
    ["512MiB", 512],
  ])("%s is %i MiB", (text, mib) => expect(parseSize(text)).toBe(mib));

  it.each([
    "4",
    "4g",
    "4GB",
    "4 G",
    "-4G",
    "0G",
    "0.3M",
    "1e3M",
    "G",
    "",
    "4G\n",
    "9999999999999T",
  ])("refuses %j", (text) => expect(parseSize(text)).toBeUndefined());

  it("come back from their own text", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 40 }), (mib) => {
        expect(parseSize(formatSize(mib))).toBe(mib);
      }),
    );
  });

  it("are never guessed from other text", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        if (!sizePattern.test(text)) expect(parseSize(text)).toBeUndefined();
      }),
    );
  });
});

describe("durations", () => {
  it.each([
    ["60s", 60_000],
    ["10m", 600_000],
    ["1.5s", 1500],
    ["500ms", 500],
    ["1h", 3_600_000],
  ])("%s is %i ms", (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each(["60", "10 m", "1d", "0s", "0.1ms", "-1s", "s", ""])("refuses %j", (text) =>
    expect(parseDuration(text)).toBeUndefined(),
  );

  it("come back from their own text", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e12 }), (ms) => {
        expect(parseDuration(formatDuration(ms))).toBe(ms);
        expect(formatDuration(ms)).toMatch(durationPattern);
      }),
    );
  });
});
