/**
 * Asks the kernel of a guest that hangs what it does (SysRq): through a command while the guest still
 * answers, otherwise on its keyboard. Bounded, and never a failure of its own.
 */
import { setTimeout as delay } from "node:timers/promises";
import { LabError } from "../config/errors.ts";
import { hangDump, hangKeys, hasHangDump, type HangDump } from "../console/hangDump.ts";
import { GuestError } from "../guest/session.ts";
import type { Guest, GuestWitness, RunLog } from "./guest.ts";

export interface AskLimits {
  /** Milliseconds for the command in the guest. */
  readonly commandMs: number;
  /** Milliseconds for what the console shows then. */
  readonly answerMs: number;
  /** The answer is complete when the console was silent for so long. */
  readonly silentMs: number;
}

export interface KernelAnswer extends HangDump {
  readonly asked: "session" | "keyboard";
}

const defaults: AskLimits = { commandMs: 4_000, answerMs: 6_000, silentMs: 1_000 };

// As root; what can't be written is no reason to leave the others out.
const script = 'for key in "$@"; do echo "$key" >/proc/sysrq-trigger; done';

/** What the kernel says; undefined when it says nothing. */
export async function askKernel(
  { guest, witness, log }: { guest: Guest; witness: GuestWitness; log: RunLog },
  limits: AskLimits = defaults,
): Promise<KernelAnswer | undefined> {
  const before = await witness.consoleSinceStart();
  const since = async (): Promise<string> => newText(before, await witness.consoleSinceStart());
  log.write("asking the kernel what it does: blocked tasks, memory, all processors");
  let asked: KernelAnswer["asked"] = "session";
  if (!(await command(guest, limits.commandMs)) && !hasHangDump(await since())) {
    asked = "keyboard";
    try {
      for (const key of hangKeys) await witness.pressSysrq(key);
    } catch (error) {
      if (!(error instanceof LabError)) throw error;
      log.write(`the guest's keyboard can't be used: ${error.message}`);
    }
  }
  const text = await settled(since, limits);
  for (const line of text.trimEnd().split("\n"))
    if (line.trim() !== "") log.write(`console: ${line}`);
  const dump = hangDump(text);
  if (dump === undefined) {
    log.write("the kernel does not answer");
    return undefined;
  }
  return { asked, ...dump };
}

/** Whether the guest took the command. */
async function command(guest: Guest, deadlineMs: number): Promise<boolean> {
  const argv = ["sudo", "-n", "sh", "-c", script, "sh", ...hangKeys];
  try {
    // The session's own limit is too late when the guest does not confirm that it has killed.
    const late = delay(deadlineMs * 1.5).then(() => undefined);
    const result = await Promise.race([guest.run(argv, { deadlineMs }), late]);
    return result?.exitCode === 0;
  } catch (error) {
    if (!(error instanceof GuestError)) throw error;
    return false;
  }
}

/** The text when no more comes. */
async function settled(since: () => Promise<string>, limits: AskLimits): Promise<string> {
  const until = performance.now() + limits.answerMs;
  for (let before = await since(); ;) {
    await delay(limits.silentMs);
    const text = await since();
    if ((text === before && hasHangDump(text)) || performance.now() >= until) return text;
    before = text;
  }
}

/** A console text of bounded length loses its beginning. */
function newText(before: string, now: string): string {
  if (now.startsWith(before)) return now.slice(before.length);
  const end = before.slice(-200);
  const at = now.lastIndexOf(end);
  return at === -1 ? now : now.slice(at + end.length);
}
