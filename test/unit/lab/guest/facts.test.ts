import { expect, test } from "vitest";
import { parseFacts } from "../../../../lab/guest/facts.ts";

const status = {
  v1: {
    datasource: "DataSourceNoCloud",
    stage: null,
    init: { errors: [], start: 1000.5, finished: 1010 },
    "modules-final": {
      errors: ["runcmd"],
      finished: 1073.6,
      recoverable_errors: { WARNING: ["w"] },
    },
  },
};

test("the guest's answer, line by line", () => {
  const text = `6.1.0-56-amd64\n1000\n${JSON.stringify(status)}\nmounted\n`;
  expect(parseFacts(text)).toEqual({
    kernelRelease: "6.1.0-56-amd64",
    bootSeconds: 73.6,
    cloudInitErrors: ["runcmd"],
    cloudInitWarnings: ["w"],
    shareProblem: undefined,
  });
});

test("a share that is not mounted is a problem", () => {
  const text = `6.1\n1\n${JSON.stringify(status)}\nmissing\n`;
  expect(parseFacts(text).shareProblem).toBe("mount said nothing");
});

test("a kernel's release is harmless, whatever it says", () => {
  const text = `6.1\u001b[2J<b>é${"x".repeat(100)}\n1\n${JSON.stringify(status)}\nmounted\n`;
  expect(parseFacts(text).kernelRelease).toBe(`6.1??2J?b??${"x".repeat(53)}`);
});

test("anything else is refused", () => {
  expect(() => parseFacts("")).toThrow();
  expect(() => parseFacts("6.1\n1\n{}\nmounted\n")).toThrow();
  expect(() => parseFacts(`6.1\n1\n${JSON.stringify(status)}\n`)).toThrow();
});
