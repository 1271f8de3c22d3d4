/**
 * Run by the bench inside its checkout, whose state and sockets are found by where this file is:
 *
 *     inside.ts reset ROUNDS   seconds from a reset's start to a command's output, as a JSON list
 *     inside.ts standby ROUNDS the same of a guest that stands by for the next run
 *     inside.ts four ROUNDS    JSON object: seconds of one fork and of four, MB of each of the four
 */
import { readFile } from "node:fs/promises";
import { knownGuest } from "../cli/knownGuest.ts";
import { controlSocket, domainNameOf, places } from "../lab/config/places.ts";
import { ControlSession } from "../lab/guest/controlSession.ts";
import { resultsFolder } from "../lab/build/results.ts";
import { processIds } from "../lab/hypervisor/processes.ts";
import { silentProgress, terminalProgress } from "../lab/report/progress.ts";
import { NextFork } from "../lab/warm/nextFork.ts";
import { forkBase, startSibling } from "../lab/warm/sibling.ts";
import type { ForkBase, Guest, Sibling } from "../lab/warm/sibling.ts";
import { warmStart } from "../lab/warm/stackGuest.ts";

const stack = "ci";
const commandMs = 20_000;
const guests = 4;

const [what, rounds] = process.argv.slice(2);
const measure = what === "reset" ? resets : what === "standby" ? standingBy : forks;
process.stdout.write(`${JSON.stringify(await measure(Number(rounds)))}\n`);

async function answers(guest: Pick<Guest, "run">): Promise<void> {
  const { exitCode, stdout } = await guest.run(["uname", "-r"], { deadlineMs: commandMs });
  if (exitCode !== 0 || stdout.trim() === "") throw new Error("the guest's command failed");
}

async function resets(count: number): Promise<number[]> {
  const guest = await knownGuest(stack);
  const seconds: number[] = [];
  for (let round = 0; round < count; round++) {
    const began = performance.now();
    const outcome = await warmStart(guest, silentProgress);
    if ("cold" in outcome) throw new Error(`booted cold: ${outcome.cold}`);
    const session = await ControlSession.connect(controlSocket(domainNameOf(stack)), {
      user: guest.user,
      deadlineMs: commandMs,
    });
    await answers(session);
    seconds.push((performance.now() - began) / 1000);
    session.close();
  }
  return seconds;
}

async function base(): Promise<ForkBase> {
  return forkBase(await knownGuest(stack), resultsFolder(stack, places()), terminalProgress());
}

async function standingBy(count: number): Promise<number[]> {
  const from = await base();
  const seconds: number[] = [];
  for (let round = 0; round < count; round++) {
    let standing: Promise<Sibling> | undefined;
    const forks = new NextFork((...args) => (standing = startSibling(...args)));
    forks.begin(from);
    await standing;
    const began = performance.now();
    const sibling = await forks.take(from);
    try {
      await answers(sibling.guest);
      seconds.push((performance.now() - began) / 1000);
    } finally {
      await sibling.remove();
      await forks.close();
    }
  }
  return seconds;
}

async function forks(count: number): Promise<Record<"one" | "four" | "memory", number[]>> {
  const from = await base();
  const measure = async (number: number, memory: number[]): Promise<number> => {
    const open: Sibling[] = [];
    const began = performance.now();
    const start = async (): Promise<void> => {
      const sibling = await startSibling(from);
      open.push(sibling);
      await answers(sibling.guest);
    };
    try {
      const started = await Promise.allSettled(Array.from({ length: number }, start));
      const seconds = (performance.now() - began) / 1000;
      for (const each of started) if (each.status === "rejected") throw each.reason;
      for (const { domain } of open) memory.push(await ownMegabytes(domain));
      return seconds;
    } finally {
      await Promise.all(open.map((sibling) => sibling.remove()));
    }
  };
  const result = { one: [] as number[], four: [] as number[], memory: [] as number[] };
  for (let round = 0; round < count; round++) {
    result.one.push(await measure(1, []));
    result.four.push(await measure(guests, result.memory));
  }
  return result;
}

/** What the process of a domain has for itself alone: proc(5), smaps_rollup. */
async function ownMegabytes(domain: string): Promise<number> {
  for (const pid of await processIds()) {
    const argv = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (!argv.split("\0").some((word) => word.startsWith(`guest=${domain},`))) continue;
    const rollup = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
    const kilobytes = [...rollup.matchAll(/^Private_(?:Clean|Dirty): +(\d+) kB$/gm)];
    return kilobytes.reduce((sum, [, number]) => sum + Number(number), 0) * 1.024e-3;
  }
  throw new Error(`no process of domain ${domain}`);
}
