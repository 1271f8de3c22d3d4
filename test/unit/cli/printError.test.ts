import { CommanderError } from "commander";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { printError } from "../../../cli/printError.ts";
import { ConfigurationError, ExitCode, LabError } from "../../../lab/config/errors.ts";

let printed: string;

beforeEach(() => {
  printed = "";
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    printed += String(text);
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

describe("an error", () => {
  it("of vexlab's is its message, what to do next, and its code", () => {
    const error = new LabError("the guest hangs", ExitCode.hung, "Look at the console.");
    expect(printError(error, {})).toBe(5);
    expect(printed).toBe("vexlab: the guest hangs\nLook at the console.\n");
  });

  it("of configuration shows every fault", () => {
    const fault = { key: "vexlab:cpus", value: "0", problem: "is too few", allowed: "1 to 64" };
    expect(printError(new ConfigurationError("stack dev", [fault]), {})).toBe(2);
    expect(printed).toContain("vexlab:cpus = 0: is too few; allowed: 1 to 64");
  });

  it("quotes what a guest has said without its control characters", () => {
    printError(
      new LabError("tar says: \u001b]0;title\u0007\u009b2Jno", ExitCode.hung, "\rNext"),
      {},
    );
    printError(new Error("\u001b[2Jno"), { VEXLAB_DEBUG: "1" });
    // eslint-disable-next-line no-control-regex
    expect(printed).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
    expect(printed).toContain("tar says: ]0;titleno\nNext\n");
  });

  it("that nobody expected shows its stack only when asked", () => {
    expect(printError(new TypeError("x is undefined"), {})).toBe(3);
    expect(printed).toContain("unexpected error: x is undefined");
    expect(printed).not.toContain("printError.test.ts");
    printError(new TypeError("x is undefined"), { VEXLAB_DEBUG: "1" });
    expect(printed).toContain("printError.test.ts");
  });

  it("of the command line ends with 2, its help with 0", () => {
    expect(printError(new CommanderError(1, "commander.unknownOption", "no"), {})).toBe(2);
    expect(printError(new CommanderError(0, "commander.helpDisplayed", "help"), {})).toBe(0);
    expect(printed).toBe("");
  });
});
