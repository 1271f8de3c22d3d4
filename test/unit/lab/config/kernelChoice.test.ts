import { describe, expect, it } from "vitest";
import { fits, parseKernelChoice, seriesOf } from "../../../../lab/config/kernelChoice.ts";

describe("parseKernelChoice", () => {
  it.each([
    ["distro", { kind: "distro" }],
    ["6.12", { kind: "series", series: "6.12" }],
    ["7.x", { kind: "major", major: 7 }],
    ["6.1.0-56-amd64", { kind: "release", release: "6.1.0-56-amd64" }],
    ["6.12.90+deb12.1-amd64", { kind: "release", release: "6.12.90+deb12.1-amd64" }],
    ["6.1.0-0.deb11.52-amd64", { kind: "release", release: "6.1.0-0.deb11.52-amd64" }],
    [
      "6.1.0-56-amd64=6.1.192-2",
      { kind: "release", release: "6.1.0-56-amd64", version: "6.1.192-2" },
    ],
  ])("%s", (text, choice) => {
    expect(parseKernelChoice(text)).toEqual(choice);
  });

  it.each([
    ...["", "6", "6.1.0", "x.x", "latest", "6.1 ", "6.1.0-56-arm64", "6.1.0-56-cloud-amd64"],
    ...["6.1.0-56-rt-amd64", "6.1.0-56-amd64=", "6.1.0-56-amd64=1=2", "6.1/../../x-amd64"],
    ...["6.1.0-56-amd64=6.1 -o X", "-amd64", "6.1;id-amd64"],
  ])("%j is none", (text) => {
    expect(parseKernelChoice(text)).toBeUndefined();
  });
});

it("a release fits its own series, major and name, and no others", () => {
  const release = "6.12.95+deb12-amd64";
  expect(seriesOf(release)).toBe("6.12");
  for (const text of ["distro", "6.12", "6.x", release])
    expect(fits(parseKernelChoice(text) ?? { kind: "major", major: 0 }, release)).toBe(true);
  for (const text of ["6.1", "6.2", "12.x", "7.x", "6.12.95+deb13-amd64"])
    expect(fits(parseKernelChoice(text) ?? { kind: "distro" }, release)).toBe(false);
});
