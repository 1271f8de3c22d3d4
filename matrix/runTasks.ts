/** Does pieces of work side by side, as schedule.ts lets them. */
import { startable, type Need, type Task } from "./schedule.ts";

export interface Work extends Task {
  /**
   * Its errors are its own business: one that it throws ends the whole, when what runs has ended.
   * @param made to be called when others may start that wait for what this one makes
   */
  run(made: () => void): Promise<void>;
}

/**
 * Does all of the work, never more at once than the budget has.
 * @param signal aborted: nothing more is started
 * @returns the ids of what was not started
 * @throws Error when a task needs more than the budget, or waits for one that there isn't
 */
export async function runTasks(
  work: readonly Work[],
  budget: Need,
  signal: AbortSignal,
): Promise<string[]> {
  const waiting = new Map(work.map((each) => [each.id, each]));
  const running = new Map<string, Work>();
  const ended = new Set<string>();
  const made = new Set<string>();
  const failures: unknown[] = [];

  await new Promise<void>((resolve, reject) => {
    const advance = (): void => {
      const stopped = signal.aborted || failures.length > 0;
      const state = { waiting: [...waiting.values()], running: [...running.values()], ended, made };
      for (const { id } of stopped ? [] : startable(state, budget)) start(id);
      if (running.size > 0) return;
      if (waiting.size === 0 || stopped) resolve();
      else reject(new Error(`never to be started: ${[...waiting.keys()].join(", ")}`));
    };
    const start = (id: string): void => {
      const task = waiting.get(id);
      if (task === undefined) return;
      waiting.delete(id);
      running.set(id, task);
      const hasMade = (): void => {
        if (task.makes === undefined || made.has(task.makes)) return;
        made.add(task.makes);
        advance();
      };
      void task
        .run(hasMade)
        .catch((error: unknown) => failures.push(error))
        .then(() => {
          running.delete(id);
          ended.add(id);
          advance();
        });
    };
    signal.addEventListener("abort", () => running.size === 0 && resolve(), { once: true });
    advance();
  });
  if (failures.length > 0) throw failures[0];
  return [...waiting.keys()];
}
