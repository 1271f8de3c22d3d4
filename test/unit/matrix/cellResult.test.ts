import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Places } from "../../../lab/config/places.ts";
import { gravity } from "../../../lab/run/mergeOutcomes.ts";
import { inputsHash, storedOutcome, storeOutcome } from "../../../matrix/cellResult.ts";
import type { Cell } from "../../../matrix/cells.ts";
import { exitCodeOfCells } from "../../../matrix/matrixResult.ts";
import { cellResult, runReport } from "./outcomes.ts";

let where: Places;
beforeEach(async () => {
  const state = await mkdtemp(join(tmpdir(), "vexlab-matrix-"));
  where = { state, checkout: state, results: state, cache: state };
});
afterEach(() => rm(where.state, { recursive: true }));

describe("results that are kept", () => {
  const inputs = "b".repeat(64);

  it.each(["passed", "failed", "crashed", "hung", "build-failed", "load-failed"] as const)(
    "%s is known again, with its report",
    async (verdict) => {
      const report = runReport({ verdict });
      await storeOutcome(where, inputs, { result: cellResult("a", verdict, { inputs }), report });
      const kept = await storedOutcome(where, inputs);
      expect(kept?.result).toMatchObject({ verdict, kept: true });
      expect(kept?.report).toEqual(report);
      expect(await storedOutcome(where, "c".repeat(64))).toBeUndefined();
    },
  );

  it("one without a report, of a module that was not built, is known again", async () => {
    await storeOutcome(where, inputs, { result: cellResult("a", "build-failed", { inputs }) });
    const kept = await storedOutcome(where, inputs);
    expect(kept?.result.verdict).toBe("build-failed");
    expect(kept).not.toHaveProperty("report");
  });

  it.each(["infrastructure-failed", "cancelled"] as const)("%s is not", async (verdict) => {
    await storeOutcome(where, inputs, { result: cellResult("a", verdict, { inputs }) });
    expect(await storedOutcome(where, inputs)).toBeUndefined();
  });

  it("one that is damaged, or under another's name, is not", async () => {
    await storeOutcome(where, inputs, {
      result: cellResult("a", "passed", { inputs: "d".repeat(64) }),
    });
    expect(await storedOutcome(where, inputs)).toBeUndefined();
    const [file = ""] = await readdir(join(where.state, "matrix", "results"));
    await writeFile(join(where.state, "matrix", "results", file), '{"result": {');
    expect(await storedOutcome(where, inputs)).toBeUndefined();
  });
});

describe("the inputs of a cell", () => {
  const cell = {
    suites: ["a"],
    config: { cpus: 2, sshPort: 2222, source: "/a" },
  } as unknown as Cell;
  const inputs = { sourceHash: "1", imageId: "2", guestFilesHash: "3" };
  const hash = inputsHash(cell, inputs);
  const changed = (config: object): Cell => ({ ...cell, config: { ...cell.config, ...config } });

  it("are the sources, the image, the suites and the configuration", () => {
    expect(inputsHash(cell, { ...inputs, sourceHash: "9" })).not.toBe(hash);
    expect(inputsHash(cell, { ...inputs, imageId: "9" })).not.toBe(hash);
    expect(inputsHash(cell, { ...inputs, guestFilesHash: "9" })).not.toBe(hash);
    expect(inputsHash(cell, { ...inputs, userData: "#cloud-config" })).not.toBe(hash);
    expect(inputsHash({ ...cell, suites: ["a", "b"] }, inputs)).not.toBe(hash);
    expect(inputsHash(changed({ cpus: 1 }), inputs)).not.toBe(hash);
  });

  it("but not where the sources lie, nor a port", () => {
    expect(inputsHash(changed({ sshPort: 1, source: "/b" }), inputs)).toBe(hash);
  });
});

describe("the code that a matrix ends with", () => {
  const codeOf = (...verdicts: Parameters<typeof cellResult>[1][]): number =>
    exitCodeOfCells(verdicts.map((verdict) => cellResult("a", verdict)));

  it("is of the gravest verdict, in the order within a run", () => {
    expect(codeOf("passed", "passed")).toBe(0);
    expect(codeOf("passed", "failed", "hung")).toBe(5);
    expect(codeOf("failed", "crashed", "build-failed")).toBe(4);
    expect(codeOf("build-failed", "infrastructure-failed")).toBe(6);
    expect(codeOf(...gravity.filter((each) => each !== "cancelled"))).toBe(4);
  });

  it("is 130 when it was cancelled, whatever was found before", () => {
    expect(codeOf("crashed", "cancelled")).toBe(130);
  });

  it("is no pass when there was no cell", () => {
    expect(codeOf()).toBe(2);
  });
});
