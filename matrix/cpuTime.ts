/**
 * How much processor time groups of processes have used: their roots and all that descends from them.
 * Pure; processTimes.ts reads proc(5). There may be no control groups to ask, and QEMU is no child of
 * ours.
 *
 * A process that has ended is in its parent's "children" when the parent has waited for it; otherwise
 * what was last seen of it counts.
 */

/** A process as /proc/PID/stat has it; times in seconds. */
export interface ProcessTimes {
  readonly pid: number;
  readonly parent: number;
  /** When it started, in ticks: a number that is used again is another process. */
  readonly started: number;
  readonly own: number;
  /** Of the children that it has waited for, and of theirs. */
  readonly children: number;
}

interface Known {
  readonly group: string;
  readonly isTop: boolean;
  readonly below: Known[];
  /** Children that begin groups of their own, which the parent waits for all the same. */
  readonly others: Known[];
  own: number;
  children: number;
  alive: boolean;
}

export class CpuTime {
  private readonly known = new Map<string, Known>();

  /**
   * Takes what the processes of the host are now.
   * @param rootOf the group of a process that begins one; of others undefined. A process may come to
   * begin one when it runs another program: all its time is that group's then.
   */
  sample<Process extends ProcessTimes>(
    processes: readonly Process[],
    rootOf: (process: Process) => string | undefined,
  ): void {
    for (const each of this.known.values()) each.alive = false;
    const alive = new Map<number, Known>();
    // Parents before their children; of those that started in one tick, the lower number first.
    for (const each of processes.toSorted((a, b) => a.started - b.started || a.pid - b.pid)) {
      const id = `${each.pid}/${each.started}`;
      const root = rootOf(each);
      const before = this.known.get(id);
      const stays = before !== undefined && (root === undefined || root === before.group);
      // Its time counts in the new group, as a whole.
      if (before !== undefined && !stays) Object.assign(before, { own: 0, children: 0 });
      const process = stays ? before : begin(each, root, alive.get(each.parent));
      if (process === undefined) continue;
      Object.assign(process, { own: each.own, children: each.children, alive: true });
      this.known.set(id, process);
      alive.set(each.pid, process);
    }
  }

  /** Seconds that a group has used so far. */
  secondsOf(group: string): number {
    let total = 0;
    for (const each of this.known.values())
      if (each.isTop && each.group === group) total += totalOf(each);
    return total;
  }
}

function begin(
  { own, children }: ProcessTimes,
  root: string | undefined,
  above: Known | undefined,
): Known | undefined {
  const group = root ?? above?.group;
  if (group === undefined) return undefined;
  const isTop = above?.group !== group;
  const process = { group, isTop, below: [], others: [], own, children, alive: true };
  if (isTop) above?.others.push(process);
  else above.below.push(process);
  return process;
}

function totalOf(process: Known): number {
  let living = 0;
  let gone = 0;
  for (const child of process.below) {
    const seconds = totalOf(child);
    if (child.alive) living += seconds;
    else gone += seconds;
  }
  const elsewhere = process.others
    .filter(({ alive }) => !alive)
    .reduce((sum, each) => sum + totalOf(each), 0);
  return process.own + Math.max(process.children - elsewhere, gone) + living;
}
