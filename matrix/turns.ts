/**
 * Whose guest may run. An emulated processor is a thread of the host: one that is interrupted while it
 * holds a lock of the guest's kernel lets the others of its guest spin, and a guest takes half as much
 * processor time again when more threads want to run than the host has processors. So others wait, and
 * builds give way.
 */
import { constants, setPriority } from "node:os";
import pLimit from "p-limit";
import { LabError } from "../lab/config/errors.ts";
import { chooseAccelerator } from "../lab/hypervisor/accelerator.ts";
import type { Cell } from "./cells.ts";

/** Does work that has a guest, when it is the cell's turn. */
export type Turn = <Result>(cell: Cell, work: () => Promise<Result>) => Promise<Result>;

/** How many guests may run at once. @param cpus of each guest */
export function guestsAtOnce(cpus: readonly number[], processors: number): number {
  return Math.max(1, Math.floor(processors / Math.max(1, ...cpus)));
}

/**
 * Lets as many emulated guests run at once as this host has processors for, in the order in which they
 * ask; others at once.
 */
export async function turnsOf(
  cells: readonly Cell[],
  processors: number,
  isEmulated: (cell: Cell) => Promise<boolean> = isEmulatedHere,
): Promise<Turn> {
  const emulated = new Set<Cell>();
  for (const cell of cells) if (await isEmulated(cell)) emulated.add(cell);
  const limit = pLimit(
    guestsAtOnce(
      [...emulated].map(({ config }) => config.cpus),
      processors,
    ),
  );
  return (cell, work) => (emulated.has(cell) ? limit(work) : work());
}

async function isEmulatedHere({ config }: Cell): Promise<boolean> {
  try {
    return (await chooseAccelerator(config.accelerator)).accelerator === "tcg";
  } catch (error) {
    // It can't have its accelerator: its own `up` says so.
    if (error instanceof LabError) return false;
    throw error;
  }
}

/** Has a build give way to guests, which libvirt's daemon starts: lab/build/hostBuild.ts. */
export function yieldToGuests(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch (error) {
    // It has ended already.
    if ((error as NodeJS.ErrnoException).errno !== -constants.errno.ESRCH) throw error;
  }
}
