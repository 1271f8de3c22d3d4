/**
 * A matrix from its cells to its results: images first, each once, then the cells side by side as the
 * budget allows, but for those that have a result for the same inputs.
 */
import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { availableParallelism, totalmem } from "node:os";
import { join } from "node:path";
import { hashSources } from "../lab/build/sources.ts";
import { ConfigurationError, ExitCode, LabError } from "../lab/config/errors.ts";
import { daemonFolder, domainNameOf, type Places } from "../lab/config/places.ts";
import { formatSize } from "../lab/config/quantity.ts";
import { readGuestFiles } from "../lab/guest/guestFiles.ts";
import { readUserData } from "../lab/guest/userData.ts";
import { usesPrivateDaemon } from "../lab/hypervisor/connection.ts";
import { startDaemon } from "../lab/hypervisor/daemon.ts";
import { holdDaemon, stopUnlessNeeded } from "../lab/hypervisor/daemonUse.ts";
import type { StackConfig } from "../lab/config/stack.ts";
import type { Image } from "../lab/image/image.ts";
import { ensureStackImage, imageLabel } from "../lab/stackImage.ts";
import { formatDuration, named, type Progress } from "../lab/report/progress.ts";
import { timestampName } from "../lab/report/results.ts";
import { exitCodeOf, type VerdictKind } from "../lab/run/verdict.ts";
import type { Engine } from "../toolchain/engine.ts";
import { tryLock } from "../toolchain/lock.ts";
import {
  inputsHash,
  isFinished,
  matrixFormat,
  storedOutcome,
  storeOutcome,
  type CellOutcome,
} from "./cellResult.ts";
import { CellStack, leftStacks, writeProject } from "./cellStack.ts";
import { type Cell, warmGroup } from "./cells.ts";
import { exitCodeOfCells, type MatrixOutcome } from "./matrixResult.ts";
import { Ports } from "./ports.ts";
import { GuestPriorities, guestsThatGoFirst } from "./priorities.ts";
import { ProcessWatch } from "./processTimes.ts";
import { engineGroup, guestsGroup, runCell, type KnownInputs } from "./runCell.ts";
import { runTasks, type Work } from "./runTasks.ts";
import { fits, type Need } from "./schedule.ts";
import { readTimes, rememberTimes } from "./times.ts";

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

type BootedImage = Pick<Image, "id" | "kernelRelease" | "kernelPackage">;

const imagesGroup = "images";
const matrixGroup = "matrix";
/** An image's build: mostly unpacking and compressing on one processor. */
const imageNeed: Need = { memoryMiB: 1024, cores: 1 };
const statusMs = 60_000;

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

/** The images, and the cells that wait for them. */
async function tasksOf(
  { cells, fresh, where, progress, signal }: MatrixOptions,
  context: Parameters<typeof runCell>[2] & { readonly status: Status },
  outcomes: Map<string, CellOutcome>,
): Promise<Work[]> {
  const hashes = await inputHashes(cells, where);
  const times = await readTimes(where);
  const images = new Map<string, BootedImage | Error>();
  const imageTask = ([label, config]: readonly [string, StackConfig]): Work => ({
    ...{ id: `image ${label}`, need: imageNeed, after: [] },
    run: async () => {
      try {
        images.set(label, await ensureStackImage(config, named(progress, label), { signal }));
      } catch (error) {
        images.set(label, error as Error);
      }
    },
  });
  const cellTask = (cell: Cell): Work => ({
    ...{ id: cell.stack, need: cell.need, makes: warmGroup(cell) },
    ...(times[cell.stack] !== undefined && { expectedSeconds: times[cell.stack] }),
    after: [`image ${imageLabel(cell.config)}`],
    run: async (made) => {
      const image = images.get(imageLabel(cell.config));
      if (image === undefined || image instanceof Error) {
        const kind = signal.aborted ? "cancelled" : "infrastructure-failed";
        const why = image?.message.split("\n")[0] ?? "there is no image";
        outcomes.set(cell.stack, notRun(cell, new Date(), kind, why));
        return;
      }
      const known = hashes(cell, image);
      const before = fresh ? undefined : await storedOutcome(where, known.inputs);
      if (before !== undefined) {
        const { verdict, startedAt } = before.result;
        named(progress, cell.label).line(`${verdict} at ${startedAt}, for the same inputs`);
        // Its name in this matrix, which may call a configuration something else.
        outcomes.set(cell.stack, { ...before, result: { ...before.result, cell: cell.label } });
        return;
      }
      context.status.began(cell.label);
      const outcome = await runCell(cell, known, context, made);
      context.status.ended(cell.label);
      outcomes.set(cell.stack, outcome);
      await storeOutcome(where, known.inputs, outcome);
    },
  });
  return [...new Map(cells.map(({ config }) => [imageLabel(config), config]))]
    .map(imageTask)
    .concat(cells.map(cellTask));
}

/** The inputs of cells, as soon as their image is known. */
async function inputHashes(
  cells: readonly Cell[],
  where: Places,
): Promise<(cell: Cell, image: BootedImage) => KnownInputs> {
  const files = JSON.stringify(await readGuestFiles());
  const guestFilesHash = createHash("sha256").update(files).digest("hex");
  const sources = new Map<string, string>();
  const userData = new Map<string, string>();
  for (const { config } of cells) {
    if (!sources.has(config.source))
      sources.set(config.source, await hashSources(config.source, config.manifest));
    if (config.userData !== undefined)
      userData.set(config.userData, await readUserData(config.userData, where.checkout));
  }
  return (cell, image) => {
    const sourceHash = sources.get(cell.config.source) ?? "";
    const text = cell.config.userData && userData.get(cell.config.userData);
    const inputs = { sourceHash, imageId: image.id, guestFilesHash, userData: text };
    return {
      ...{ sourceHash, imageId: image.id },
      ...(image.kernelRelease !== undefined && { kernelRelease: image.kernelRelease }),
      ...(image.kernelPackage && { kernelPackage: image.kernelPackage }),
      inputs: inputsHash(cell, inputs),
    };
  };
}

/** The result of a cell that did not get to run. */
function notRun(cell: Cell, at: Date, verdict: VerdictKind, reason: string): CellOutcome {
  return {
    result: {
      ...{ cell: cell.label, stack: cell.stack, image: cell.image, kernel: cell.kernel },
      ...{ configuration: cell.configuration, verdict, exitCode: exitCodeOf(verdict), reason },
      ...{ suites: [], startedAt: at.toISOString(), seconds: 0 },
      ...{ cpuSeconds: { engine: 0, guests: 0 }, kept: false, log: "" },
    },
  };
}

/** Says now and then what is under way, of which nothing may be heard for minutes. */
class Status {
  private readonly running = new Map<string, number>();
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly progress: Progress,
    private readonly cells: number,
    private readonly outcomes: ReadonlyMap<string, unknown>,
  ) {
    this.timer = setInterval(() => this.tell(), statusMs).unref();
  }

  began(label: string): void {
    this.running.set(label, performance.now());
  }

  ended(label: string): void {
    this.running.delete(label);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private tell(): void {
    const now = performance.now();
    const running = [...this.running].map(
      ([label, since]) => `${label} for ${formatDuration(now - since)}`,
    );
    if (running.length === 0) return;
    const waiting = this.cells - this.outcomes.size - running.length;
    const counts = `${this.outcomes.size} of ${this.cells} cells done, ${waiting} waiting`;
    this.progress.line(`${counts}; ${running.join(", ")}`);
  }
}
