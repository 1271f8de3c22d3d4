/**
 * What a matrix has to do: its images, each once, and the cells that wait for them, but for those that
 * have a result for the same inputs.
 */
import { createHash } from "node:crypto";
import { hashSources } from "../lab/build/sources.ts";
import type { Places } from "../lab/config/places.ts";
import type { StackConfig } from "../lab/config/stack.ts";
import { readGuestFiles } from "../lab/guest/guestFiles.ts";
import { readUserData } from "../lab/guest/userData.ts";
import type { Image } from "../lab/image/image.ts";
import { named, type Progress } from "../lab/report/progress.ts";
import { exitCodeOf, type VerdictKind } from "../lab/run/verdict.ts";
import { ensureStackImage, imageLabel } from "../lab/stackImage.ts";
import { inputsHash, storedOutcome, storeOutcome, type CellOutcome } from "./cellResult.ts";
import { type Cell, warmGroup } from "./cells.ts";
import { runCell, type KnownInputs } from "./runCell.ts";
import type { Work } from "./runTasks.ts";
import type { Need } from "./schedule.ts";
import type { Status } from "./status.ts";
import { readTimes } from "./times.ts";

/** An image's build: mostly unpacking and compressing on one processor. */
export const imageNeed: Need = { memoryMiB: 1024, cores: 1 };

type BootedImage = Pick<Image, "id" | "kernelRelease" | "kernelPackage">;

export interface TasksRequest {
  readonly cells: readonly Cell[];
  /** Runs also what has a result. */
  readonly fresh: boolean;
  readonly where: Places;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** The images, and the cells that wait for them. */
export async function tasksOf(
  { cells, fresh, where, progress, signal }: TasksRequest,
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
export function notRun(cell: Cell, at: Date, verdict: VerdictKind, reason: string): CellOutcome {
  return {
    result: {
      ...{ cell: cell.label, stack: cell.stack, image: cell.image, kernel: cell.kernel },
      ...{ configuration: cell.configuration, verdict, exitCode: exitCodeOf(verdict), reason },
      ...{ suites: [], startedAt: at.toISOString(), seconds: 0 },
      ...{ cpuSeconds: { engine: 0, guests: 0 }, kept: false, log: "" },
    },
  };
}
