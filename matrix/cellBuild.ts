/**
 * Builds a cell's module before its stack is made, where it is built on the host: a kernel that the module
 * does not build on then costs seconds and no guest. `up` finds the build done.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { stackFolder } from "../lab/config/places.ts";
import { ExitCode, LabError } from "../lab/config/errors.ts";
import { resultsFolder } from "../lab/build/results.ts";
import { forgetLastVerdict, readLastVerdict, type LastVerdict } from "../lab/run/lastVerdict.ts";
import type { CellContext } from "./cellStack.ts";
import type { Cell } from "./cells.ts";
import { giveWay } from "./priorities.ts";

/**
 * Builds the module in an image's root file system, as the stack's program is going to.
 * @returns what kept it from being built; undefined when it is built
 * @throws LabError (exit 3) when the verb ended without a word
 */
export async function buildCell(
  cell: Cell,
  imageId: string,
  { where, output, started }: Pick<CellContext, "where" | "output" | "started">,
  signal: AbortSignal,
): Promise<LastVerdict | undefined> {
  const { stack, config, suites } = cell;
  const folder = stackFolder(stack, where);
  const input = { stack, source: config.source, image: imageId, buildOn: "host" };
  await forgetLastVerdict(folder);
  const selected = config.suites === undefined ? {} : { suites };
  const child = execa(join(where.checkout, "scripts", "vexlab"), ["module", "build"], {
    env: { VEXLAB_INPUT: JSON.stringify({ ...input, ...selected }) },
    stdin: "ignore",
    reject: false,
    // The terminal's Ctrl-C comes to us, and we end it.
    detached: true,
  });
  if (child.pid !== undefined) {
    giveWay(child.pid);
    started(child.pid);
  }
  child.stderr.setEncoding("utf8").on("data", output);
  const stop = (): void => void child.kill("SIGINT");
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  try {
    const { exitCode } = await child;
    if (exitCode === ExitCode.passed) return undefined;
    const verdict = await readLastVerdict(folder);
    // Nothing of a stack that isn't going to be made.
    await rm(folder, { recursive: true, force: true });
    await rm(resultsFolder(stack, where), { recursive: true, force: true });
    if (verdict !== undefined) return verdict;
    throw new LabError(
      `vexlab module build ended with ${exitCode ?? "a signal"}`,
      ExitCode.infrastructureFailed,
    );
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
