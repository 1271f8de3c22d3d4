import { describe, expect, it } from "vitest";
import { silentProgress } from "../../../lab/report/progress.ts";
import { exitCodeOf, type VerdictKind } from "../../../lab/run/verdict.ts";
import type { Cell } from "../../../matrix/cells.ts";
import { Milestones, runCell, type Attempt, type CellsContext } from "../../../matrix/runCell.ts";
import { matrixResultSchema } from "../../../matrix/matrixResult.ts";
import { ProcessWatch } from "../../../matrix/processTimes.ts";
import { Ports } from "../../../matrix/ports.ts";
import { createServer } from "node:net";
import { matrixOutcome } from "./outcomes.ts";

const cell = {
  label: "debian-12/6.1",
  stack: "matrix-1",
  image: "debian-12",
  kernel: "6.1",
  configuration: "",
} as unknown as Cell;
const known = { sourceHash: "1", imageId: "2", kernelRelease: "6.1.0", inputs: "3" };

/** Runs a cell whose attempts come to these verdicts. */
async function run(...verdicts: VerdictKind[]) {
  const cancel = new AbortController();
  const context = {
    ...{ watch: new ProcessWatch(() => undefined), progress: silentProgress },
    ...{ folder: "/results", signal: cancel.signal },
  } as unknown as CellsContext;
  let attempts = 0;
  const attempt = (): Promise<Attempt> => {
    const verdict = verdicts[attempts++] ?? "passed";
    if (verdict === "cancelled") cancel.abort();
    return Promise.resolve({
      verdict,
      exitCode: exitCodeOf(verdict),
      reason: `attempt ${attempts}`,
    });
  };
  const outcome = await runCell(cell, known, context, () => undefined, attempt);
  expect(matrixResultSchema.parse(matrixOutcome([outcome]).result)).toBeTruthy();
  return { attempts, result: outcome.result };
}

describe("a cell whose infrastructure fails", () => {
  it("is run once more, and the result says so", async () => {
    const { attempts, result } = await run("infrastructure-failed", "passed");
    expect(attempts).toBe(2);
    expect(result).toMatchObject({ verdict: "passed", exitCode: 0, retried: "attempt 1" });
  });

  it("is not run a third time", async () => {
    const { attempts, result } = await run(
      "infrastructure-failed",
      "infrastructure-failed",
      "passed",
    );
    expect(attempts).toBe(2);
    expect(result).toMatchObject({
      verdict: "infrastructure-failed",
      exitCode: 3,
      retried: "attempt 1",
    });
  });

  it.each(["failed", "crashed", "hung", "build-failed", "load-failed", "cancelled"] as const)(
    "unlike one that is %s",
    async (verdict) => {
      const { attempts, result } = await run(verdict, "passed");
      expect(attempts).toBe(1);
      expect(result.verdict).toBe(verdict);
      expect(result).not.toHaveProperty("retried");
    },
  );
});

describe("what is told of a cell while it runs", () => {
  it("is each end of a suite, once, without Pulumi's words around it", () => {
    const lines: string[] = [];
    const milestones = new Milestones({ ...silentProgress, line: (text) => lines.push(text) });
    milestones.take(" +  command:local:Command test-run creating (9s) [   3.1s] suite mo");
    milestones.take(
      "unt: done, 3 passed (1.2 s)\n[   4.0s]   suite b: failed, \u001b[2J1 failed (0.1 s)\nother\n",
    );
    milestones.take("    [   3.1s] suite mount: done, 3 passed (1.2 s)\n");
    expect(lines).toEqual([
      "suite mount: done, 3 passed (1.2 s)",
      "suite b: failed, 1 failed (0.1 s)",
    ]);
  });
});

describe("ports of guests", () => {
  it("are free, and never two of one", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen({ port: 0, host: "127.0.0.1" }, resolve));
    const { port: taken } = server.address() as { port: number };
    const ports = new Ports(taken);
    const given = await Promise.all([ports.take(), ports.take(), ports.take()]);
    server.close();
    expect(new Set(given).size).toBe(3);
    expect(given).not.toContain(taken);
    ports.giveBack(given[0]);
    expect(await ports.take()).toBeLessThanOrEqual(given[0]);
  });
});
