import { describe, expect, it } from "vitest";

import { commandEnvironment } from "../../../../toolchain/command-plugin/environment.ts";
import {
  outputsAfter,
  outputsBeforeCreate,
  outputsBeforeUpdate,
} from "../../../../toolchain/command-plugin/outputs.ts";
import {
  secretSignature,
  signatureKey,
  unknown,
} from "../../../../toolchain/command-plugin/propertyValue.ts";

const token = { [signatureKey]: secretSignature, value: "x" };
const result = { stdout: "out", stderr: "err", assets: undefined, archive: undefined };

describe("outputs", () => {
  it("hold the inputs as they came, secrets included, and the results", () => {
    const inputs = { create: "a", environment: { TOKEN: token } };
    expect(outputsAfter(inputs, result)).toEqual({ ...inputs, stdout: "out", stderr: "err" });
  });

  it("are empty where no command ran, and those of before after such an update", () => {
    expect(outputsAfter({ delete: "a" }, undefined)).toEqual({
      delete: "a",
      stdout: "",
      stderr: "",
    });
    const before = { stdout: "old", stderr: "", assets: { a: 1 } };
    expect(outputsAfter({ delete: "b" }, undefined, before)).toEqual({ delete: "b", ...before });
  });

  it("drop assets that a new run no longer gives", () => {
    expect(outputsAfter({}, result, { assets: { a: 1 } })).not.toHaveProperty("assets");
  });

  it("are unknown in the preview of a create", () => {
    expect(outputsBeforeCreate({ create: "a" })).toEqual({
      create: "a",
      stdout: unknown,
      stderr: unknown,
    });
  });

  it.each([
    ["changed", { create: "b" }],
    ["added", { create: "a", stdin: "x" }],
    ["unknown", { create: unknown }],
  ])("are unknown in the preview of an update with an input %s", (_, inputs) => {
    const before = { create: "a", stdout: "old", stderr: "", archive: "z" };
    const outputs = outputsBeforeUpdate(inputs, { create: "a" }, before);
    expect(outputs).toEqual({ ...inputs, stdout: unknown, stderr: unknown, archive: unknown });
  });

  it("stay in a preview without a change", () => {
    expect(outputsBeforeUpdate({ create: "a" }, { create: "a" }, { stdout: "s" })).toMatchObject({
      stdout: "s",
    });
  });
});

describe("commandEnvironment", () => {
  const settings = {
    environment: { A: "given", PULUMI_COMMAND_STDERR: "given" },
    addPreviousOutputInEnv: true,
  };

  it("puts the input over the inherited, and the previous output over both", () => {
    expect(
      commandEnvironment({ A: "inherited", B: "inherited" }, settings, {
        stdout: "o",
        stderr: "e",
      }),
    ).toEqual({
      A: "given",
      B: "inherited",
      PULUMI_COMMAND_STDOUT: "o",
      PULUMI_COMMAND_STDERR: "e",
    });
  });

  it("adds no previous output that is empty or not wanted", () => {
    expect(commandEnvironment({}, settings, { stdout: "", stderr: "" })).toEqual(
      settings.environment,
    );
    expect(
      commandEnvironment(
        {},
        { ...settings, addPreviousOutputInEnv: false },
        { stdout: "o", stderr: "e" },
      ),
    ).toEqual(settings.environment);
  });
});
