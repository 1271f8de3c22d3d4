/**
 * A matrix from its cells to its results: what it has to do (tasks.ts), side by side as its budget
 * allows.
 */
import { mkdir } from "node:fs/promises";
import { availableParallelism, totalmem } from "node:os";
import { join } from "node:path";
import { ConfigurationError, ExitCode, LabError } from "../lab/config/errors.ts";
import { daemonFolder, domainNameOf, type Places } from "../lab/config/places.ts";
import { formatSize } from "../lab/config/quantity.ts";
import { usesPrivateDaemon } from "../lab/hypervisor/connection.ts";
import { startDaemon } from "../lab/hypervisor/daemon.ts";
import { holdDaemon, stopUnlessNeeded } from "../lab/hypervisor/daemonUse.ts";
import type { Progress } from "../lab/report/progress.ts";
import { timestampName } from "../lab/report/results.ts";
import type { Engine } from "../toolchain/engine.ts";
import { tryLock } from "../toolchain/lock.ts";
import { isFinished, matrixFormat, type CellOutcome } from "./cellResult.ts";
import { CellStack, leftStacks, writeProject } from "./cellStack.ts";
import type { Cell } from "./cells.ts";
import { exitCodeOfCells, type MatrixOutcome } from "./matrixResult.ts";
import { Ports } from "./ports.ts";
import { GuestPriorities, guestsThatGoFirst } from "./priorities.ts";
import { ProcessWatch } from "./processTimes.ts";
import { engineGroup, guestsGroup } from "./runCell.ts";
import { runTasks } from "./runTasks.ts";
import { fits, type Need } from "./schedule.ts";
import { Status } from "./status.ts";
import { imageNeed, notRun, tasksOf } from "./tasks.ts";
import { rememberTimes } from "./times.ts";

export interface MatrixOptions {
  readonly cells: readonly Cell[];
  readonly budget: Need;
  /** Runs also what has a result. */
  readonly fresh: boolean;
  readonly firstPort?: number | undefined;
  readonly where: Places;
  readonly engine: Engine;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

const imagesGroup = "images";
const matrixGroup = "matrix";

/**
 * What cells may take of this host: cells at once, by default one for each processor, and three quarters
 * of the memory. One that is given and too small for a cell is a mistake; the default grows to the
 * largest cell.
 * @throws ConfigurationError
 */
export function budgetFor(
  cells: readonly Cell[],
  asked: { readonly jobs?: number | undefined; readonly memory?: number | undefined },
  host = { cores: availableParallelism(), memoryMiB: Math.floor(totalmem() / 2 ** 20) },
): Need {
  const largest = Math.max(imageNeed.memoryMiB, ...cells.map(({ need }) => need.memoryMiB));
  const standard = Math.max(largest, Math.floor((host.memoryMiB * 3) / 4));
  const budget = { cores: asked.jobs ?? host.cores, memoryMiB: asked.memory ?? standard };
  const tooBig = cells.filter(({ need }) => !fits(need, budget));
  if (tooBig.length === 0) return budget;
  throw new ConfigurationError(
    "matrix",
    tooBig.map(({ label, need }) => ({
      key: "memory",
      value: formatSize(budget.memoryMiB),
      problem: `is too little for cell ${label}, its guest and one for the tests`,
      allowed: `at least ${formatSize(need.memoryMiB)}, or a smaller vexlab:memory`,
    })),
  );
}

/**
 * Runs a matrix. What the cells come to is in its result; it throws for what concerns all of them.
 * @throws LabError
 */
export async function runMatrix(options: MatrixOptions): Promise<MatrixOutcome> {
  const { where } = options;
  const lock = await tryLock(join(where.state, "locks", "matrix.lock"));
  if (!lock)
    throw new LabError(
      "another vexlab matrix runs in this checkout",
      ExitCode.infrastructureFailed,
      "Wait for it to end.",
    );
  try {
    return await underLock(options);
  } finally {
    await lock.release();
  }
}

async function underLock(options: MatrixOptions): Promise<MatrixOutcome> {
  const { cells, where, progress, signal, budget } = options;
  const began = performance.now();
  const startedAt = new Date();
  const runId = `${timestampName(startedAt)}-matrix`;
  const folder = join(where.results, runId);
  await mkdir(join(folder, "cells"), { recursive: true });
  await writeProject(where);
  const cpus = cells.map(({ config }) => config.cpus);
  const priorities = new GuestPriorities(guestsThatGoFirst(cpus, availableParallelism()));
  const watch = new ProcessWatch((domain, words, pid) => {
    const cell = cellOf(domain, words, cells, where);
    if (cell !== undefined) void priorities.seen(cell.stack, pid);
    return groupOf(domain, words, cells, where);
  });
  watch.add(process.pid, matrixGroup);
  watch.start();
  const isOurs = cells.some(({ config }) => usesPrivateDaemon(config.libvirtUri));
  const letGo = await holdDaemon();
  const outcomes = new Map<string, CellOutcome>();
  const status = new Status(progress, cells.length, outcomes);
  try {
    if (isOurs) await startDaemon();
    await removeLeft(options);
    const context = {
      ...{ ...options, watch, status, priorities, folder: join(folder, "cells") },
      ports: new Ports(options.firstPort),
    };
    await runTasks(await tasksOf(options, context, outcomes), budget, signal);
    await watch.look();
  } finally {
    status.stop();
    watch.stop();
    await letGo();
    if (isOurs) await stopUnlessNeeded();
  }
  const all = cells.map(
    (cell) => outcomes.get(cell.stack) ?? notRun(cell, startedAt, "cancelled", "cancelled"),
  );
  const round = (value: number): number => Math.round(value * 100) / 100;
  const { user, system } = process.cpuUsage();
  const own = Math.min((user + system) / 1e6, watch.secondsOf(matrixGroup));
  const ran = cells.filter((_, index) => all[index]?.result.kept === false);
  const finished = all.filter(({ result }) => !result.kept && isFinished(result.verdict));
  await rememberTimes(
    where,
    Object.fromEntries(finished.map(({ result }) => [result.stack, result.seconds])),
  );
  const cpu = ran.reduce(
    (sum, { stack }) =>
      sum + watch.secondsOf(engineGroup(stack)) + watch.secondsOf(guestsGroup(stack)),
    0,
  );
  return {
    cells: all,
    result: {
      ...{ format: matrixFormat, runId, startedAt: startedAt.toISOString() },
      module: cells[0]?.config.manifest.name ?? "",
      source: cells[0]?.config.source ?? "",
      exitCode: exitCodeOfCells(all.map(({ result }) => result)),
      cells: all.map(({ result }) => result),
      seconds: round((performance.now() - began) / 1000),
      ...{ cores: availableParallelism(), jobs: budget.cores, memoryMiB: budget.memoryMiB },
      cpuSeconds: {
        cells: round(cpu),
        // What images are built with is started by this process.
        images: round(watch.secondsOf(imagesGroup) + watch.secondsOf(matrixGroup) - own),
        matrix: round(own),
      },
    },
  };
}

/** Whose time a QEMU's is. Another checkout's guests may have the same names. */
export function groupOf(
  domain: string,
  words: string,
  cells: readonly Cell[],
  where: Places,
): string | undefined {
  // Its control socket is in the run folder of the checkout's daemon, its disks in the user's cache.
  if (domain.startsWith("vexlab-template-"))
    return words.includes(`${daemonFolder(where)}/`) ? imagesGroup : undefined;
  const cell = cellOf(domain, words, cells, where);
  return cell && guestsGroup(cell.stack);
}

/** Whose guest, or fork of it, a QEMU is. */
function cellOf(
  domain: string,
  words: string,
  cells: readonly Cell[],
  where: Places,
): Cell | undefined {
  if (!words.includes(`${where.state}/`)) return undefined;
  return cells.find(({ stack }) => {
    const own = domainNameOf(stack);
    return domain === own || domain.startsWith(`${own}-fork-`);
  });
}

/** Removes the stacks of cells that a matrix has left which was killed. */
async function removeLeft({ where, engine, progress }: MatrixOptions): Promise<void> {
  for (const name of await leftStacks(where)) {
    const step = progress.step(`removing ${name}, which a matrix has left`);
    const stack = await CellStack.open(name, undefined, {
      ...{ where, engine, progress },
      output: () => undefined,
      started: () => undefined,
    });
    try {
      await stack.destroy();
      await stack.forget();
      step.done();
    } catch (error) {
      step.failed();
      throw error;
    } finally {
      await stack.close();
    }
  }
}
