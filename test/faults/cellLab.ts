/** A stack in a cell of the host, which is damaged for each fault and mended again. */
import { join } from "node:path";
import { listWarmImages } from "../../lab/warm/prune.ts";
import type { CellFault, CellPlace } from "./cellFaults.ts";
import { FaultLab, manifestOf, type Boots, type Outcome } from "./faultLab.ts";
import { HostCell } from "./hostCell.ts";

export class CellLab {
  private constructor(
    private readonly place: CellPlace,
    private readonly signal: AbortSignal,
  ) {}

  static async make(signal: AbortSignal, boots?: Boots): Promise<CellLab> {
    const cell = await HostCell.make();
    try {
      const lab = await FaultLab.make(signal, boots, cell);
      const used = (await listWarmImages(cell.cache)).find(({ usedBy }) => usedBy.length > 0);
      if (used === undefined) throw new Error("the stack in the cell has no warm image");
      const image = join(cell.cache, "images", used.imageId);
      const warm = join(cell.cache, "warm", used.key);
      return new CellLab({ cell, lab, image, warm }, signal);
    } catch (error) {
      await cell.close();
      throw error;
    }
  }

  async run(fault: CellFault): Promise<Outcome> {
    this.signal.throwIfAborted();
    const { lab } = this.place;
    const { name, command, caseTimeout, keys = {} } = fault;
    const isTest = command !== undefined;
    if (isTest) {
      const load = command[0] === "tests/harmless.sh" ? { load: {} } : {};
      await lab.describe(
        manifestOf({ name, command, ...load, ...(caseTimeout !== undefined && { caseTimeout }) }),
      );
    }
    await lab.configure(keys);
    const made = await fault.make(this.place);
    const { environment = {} } = made;
    try {
      const words = [...fault.words, ...(isTest ? ["--suite", name] : [])];
      const { exitCode, seconds, all } = await lab.verb(words, { environment });
      const left = [...(await lab.leftOver()), ...((await made.left?.()) ?? [])];
      return { exitCode, seconds, report: undefined, terminal: all, files: {}, left };
    } finally {
      await made.mend();
      const none = Object.keys(keys).map((key) => [key, undefined] as const);
      await lab.configure(Object.fromEntries(none));
    }
  }

  async remove(): Promise<void> {
    await this.place.lab.remove();
    await this.place.cell.close();
  }
}
