/** Which pieces of work may start now. Pure; runTasks.ts does the work. */

/** What a piece of work takes of the host while it runs. */
export interface Need {
  readonly memoryMiB: number;
  /** Processors that it keeps busy. */
  readonly cores: number;
}

export interface Task {
  readonly id: string;
  readonly need: Need;
  /** Tasks that have to have ended before. */
  readonly after: readonly string[];
  /** Of tasks with the same, the next one starts when the one before it has made it, or has ended. */
  readonly makes?: string;
  /** How long it is going to take, as far as is known: the longest start first. */
  readonly expectedSeconds?: number;
}

export interface Progress {
  /** Not started yet, in the order in which they were given. */
  readonly waiting: readonly Task[];
  readonly running: readonly Task[];
  readonly ended: ReadonlySet<string>;
  /** What running tasks have made already. */
  readonly made: ReadonlySet<string>;
}

/** What the tasks that run take together. */
export function taken(running: readonly Task[]): Need {
  const sum = (key: keyof Need): number =>
    running.reduce((total, { need }) => total + need[key], 0);
  return { memoryMiB: sum("memoryMiB"), cores: sum("cores") };
}

/** Whether all of it is there at once. */
export function fits(need: Need, free: Need): boolean {
  return need.memoryMiB <= free.memoryMiB && need.cores <= free.cores;
}

/**
 * The tasks to start now, in this order. Together with those that run they stay within the budget, and
 * no task that could run beside them is left out.
 */
export function startable(progress: Progress, budget: Need): Task[] {
  const { waiting, ended, made } = progress;
  const running = [...progress.running];
  const start: Task[] = [];
  for (const task of longestFirst(waiting)) {
    const used = taken(running);
    const free = {
      memoryMiB: budget.memoryMiB - used.memoryMiB,
      cores: budget.cores - used.cores,
    };
    const isReady = task.after.every((id) => ended.has(id));
    const isMade =
      task.makes === undefined ||
      made.has(task.makes) ||
      !running.some(({ makes }) => makes === task.makes);
    if (!isReady || !isMade || !fits(task.need, free)) continue;
    running.push(task);
    start.push(task);
  }
  return start;
}

/** By how long they take; what is not known, as it was given and first. */
function longestFirst(tasks: readonly Task[]): Task[] {
  const seconds = ({ expectedSeconds }: Task): number => expectedSeconds ?? Infinity;
  // Infinity minus itself is no number.
  return tasks.toSorted((a, b) => (seconds(a) === seconds(b) ? 0 : seconds(b) - seconds(a)));
}
