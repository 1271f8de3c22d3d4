import { describe, expect, it } from "vitest";

import {
  commandInputs,
  commandSettings,
  inputFailures,
  runInputs,
} from "../../../../toolchain/command-plugin/inputs.ts";
import {
  secretSignature,
  signatureKey,
  unknown,
} from "../../../../toolchain/command-plugin/propertyValue.ts";

const secret = (value: never) => ({ [signatureKey]: secretSignature, value }) as never;

describe("inputFailures", () => {
  it("accepts every documented input", () => {
    const inputs = {
      create: "a",
      update: "b",
      delete: "c",
      dir: "/",
      stdin: "",
      logging: "none",
      environment: { A: "1" },
      interpreter: ["sh", "-c"],
      triggers: [1, null, {}],
      assetPaths: ["*"],
      archivePaths: [],
      addPreviousOutputInEnv: true,
    };
    expect(inputFailures(inputs, commandInputs)).toEqual([]);
    expect(Object.keys(inputs).sort()).toEqual(Object.keys(commandInputs).sort());
  });

  it("reports every mistake at once", () => {
    const failures = inputFailures(
      {
        creat: "a",
        dir: 1,
        environment: { A: 1 },
        interpreter: "sh",
        addPreviousOutputInEnv: "no",
      },
      commandInputs,
    );
    expect(failures.map(({ property }) => property)).toEqual([
      "creat",
      "dir",
      "environment",
      "interpreter",
      "addPreviousOutputInEnv",
    ]);
    expect(failures[0]?.reason).toContain("allowed: addPreviousOutputInEnv, archivePaths");
  });

  it("accepts secrets and unknowns for what they will be", () => {
    const inputs = {
      create: secret("a" as never),
      environment: secret({ A: unknown } as never),
      interpreter: unknown,
      addPreviousOutputInEnv: unknown,
      dir: null,
    };
    expect(inputFailures(inputs, commandInputs)).toEqual([]);
    expect(inputFailures({ dir: secret(1 as never) }, commandInputs)).toHaveLength(1);
  });

  it("requires the function's command, and knows no triggers there", () => {
    const failures = inputFailures({ triggers: [] }, runInputs, ["command"]);
    expect(failures.map(({ property }) => property)).toEqual(["command", "triggers"]);
  });
});

describe("commandSettings", () => {
  it("has the documented defaults", () => {
    expect(commandSettings({})).toEqual({
      interpreter: ["/bin/sh", "-c"],
      dir: undefined,
      environment: {},
      stdin: "",
      logged: { stdout: true, stderr: true },
      assetPaths: undefined,
      archivePaths: undefined,
      addPreviousOutputInEnv: true,
    });
    expect(commandSettings({ interpreter: [] }).interpreter).toEqual(["/bin/sh", "-c"]);
  });

  it.each([
    ["stdout", { stdout: true, stderr: false }],
    ["stderr", { stdout: false, stderr: true }],
    ["stdoutAndStderr", { stdout: true, stderr: true }],
    ["none", { stdout: false, stderr: false }],
  ])("logs with logging %s", (logging, logged) => {
    expect(commandSettings({ logging }).logged).toEqual(logged);
  });

  it("takes secrets' values", () => {
    const settings = commandSettings({
      environment: { TOKEN: secret("x" as never) },
      dir: secret("/d" as never),
    });
    expect(settings).toMatchObject({ environment: { TOKEN: "x" }, dir: "/d" });
  });
});
