/**
 * A Pulumi that vexlab has run and that outlived it, because only vexlab was killed. Nobody sees any
 * more what it does, so whoever takes the stack next ends it first: also one that is just starting, and
 * has no lock on the stack yet. A Pulumi that a user runs is not touched.
 */
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { faultFileVariable } from "../lab/config/programFault.ts";
import { isRunning, processIds, sessionOf } from "../lab/hypervisor/processes.ts";

const pollMs = 50;
/** What it has begun it still does and writes down. */
const interruptedMs = 60_000;
const killedMs = 5_000;

/**
 * The processes that change a stack and were started by vexlab. The caller holds the stack's lock, so
 * that the vexlab that started them has gone.
 *
 * @param faults the folder of fault files, which tells stacks of one name apart: each state has its own
 */
export async function orphansOf(faults: string, stack: string): Promise<number[]> {
  const found: number[] = [];
  for (const pid of await processIds()) {
    const words = await wordsIn(`/proc/${pid}/cmdline`);
    const option = words.indexOf("--stack");
    const changes = words.slice(0, option).some((word) => word === "up" || word === "destroy");
    if (option < 0 || !changes || words[option + 1] !== stack) continue;
    if (await hasFaultsIn(pid, faults)) found.push(Number(pid));
  }
  return found;
}

/**
 * Ends what a Pulumi that was killed has left: its language host would notice only after minutes. All that
 * it starts is in its session, but for commands, which end by themselves, and libvirt's daemon.
 *
 * @param faults the folder of fault files that vexlab's runs in this checkout are given
 */
export async function endRemains(faults: string): Promise<number[]> {
  const ended: number[] = [];
  for (const name of await processIds()) {
    if (!(await hasFaultsIn(name, faults))) continue;
    const session = await sessionOf(Number(name));
    if (session === undefined || (await isRunning(session))) continue;
    send(Number(name), "SIGKILL");
    ended.push(Number(name));
  }
  return ended;
}

async function hasFaultsIn(pid: string, faults: string): Promise<boolean> {
  const variables = await wordsIn(`/proc/${pid}/environ`);
  return variables.some((each) => each.startsWith(`${faultFileVariable}=${faults}/`));
}

/**
 * Ends a process as Ctrl-C would, and, when it has not ended after a minute, with all of its group.
 * @returns whether it has ended
 */
export async function endOrphan(pid: number, graceMs: number = interruptedMs): Promise<boolean> {
  send(pid, "SIGINT");
  if (await ended(pid, graceMs)) return true;
  // runPulumi gave it a process group of its own.
  send(-pid, "SIGKILL");
  return ended(pid, killedMs);
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // It has ended by itself.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function ended(pid: number, withinMs: number): Promise<boolean> {
  const until = performance.now() + withinMs;
  while (await isRunning(pid)) {
    if (performance.now() > until) return false;
    await sleep(pollMs);
  }
  return true;
}

async function wordsIn(file: string): Promise<string[]> {
  return (await readFile(file, "utf8").catch(() => "")).split("\0");
}
