/**
 * Whose guest goes first. An emulated processor is a thread of the host: one that is interrupted while
 * it holds a lock of the guest's kernel lets the others of its guest spin, and a guest takes half as
 * much processor time again when as many others compete with it. So as many guests as the host has
 * processors for go first, the others take what these leave, and builds what is left then.
 *
 * The kernel compares the priorities of processes of one session only; libvirt starts each QEMU in a
 * session of its own, and sessions share the processors as /proc/PID/autogroup says (sched(7)).
 */
import { writeFile } from "node:fs/promises";
import { constants, setPriority } from "node:os";

/** Of builds: a tenth of a processor that something else wants. With less, one may not end in time. */
const buildNice = constants.priority.PRIORITY_BELOW_NORMAL;
/** Of guests that give way: a quarter of a processor that another guest wants as well. */
const guestNice = 5;

/** How many guests may go first. @param cpus of each guest */
export function guestsThatGoFirst(cpus: readonly number[], processors: number): number {
  return Math.max(1, Math.floor(processors / Math.max(1, ...cpus)));
}

export class GuestPriorities {
  private readonly first = new Set<string>();
  private readonly givingWay = new Set<string>();

  /**
   * @param places how many may go first
   * @param setNice sets the priority of a QEMU's session
   */
  constructor(
    private readonly places: number,
    private readonly setNice: (pid: number, nice: number) => Promise<void> = setSessionNice,
  ) {}

  /** Does work during which a stack has guests. */
  async during<Result>(stack: string, work: () => Promise<Result>): Promise<Result> {
    const group = this.first.size < this.places ? this.first : this.givingWay;
    group.add(stack);
    try {
      return await work();
    } finally {
      group.delete(stack);
    }
  }

  /** To be told of each QEMU of a stack when it is seen. */
  async seen(stack: string, pid: number): Promise<void> {
    if (this.givingWay.has(stack)) await this.setNice(pid, guestNice);
  }
}

async function setSessionNice(pid: number, nice: number): Promise<void> {
  // Where the kernel has no such file, all guests are equal; a process may have ended.
  await writeFile(`/proc/${pid}/autogroup`, String(nice)).catch(() => undefined);
}

/** Has a build, and all that it starts, give way to everything else: lab/build/hostBuild.ts. */
export function giveWay(pid: number): void {
  try {
    setPriority(pid, buildNice);
  } catch (error) {
    // It has ended already.
    if ((error as NodeJS.ErrnoException).errno !== -constants.errno.ESRCH) throw error;
  }
}
