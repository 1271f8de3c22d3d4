/**
 * The process groups of the commands that are running, so that none outlives the plugin. A plugin
 * that is killed can't end them itself: a small watchdog process, started with the first command,
 * notices its end and does it.
 */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { join } from "node:path";
import type { Writable } from "node:stream";

export class ProcessGroups {
  private watchdog: ChildProcessByStdio<Writable, null, null> | undefined;

  /** @param folder Where watchdog.sh lies. */
  constructor(private readonly folder: string) {}

  /** Starts the watchdog unless it runs; call it before a command is started. */
  prepare(): void {
    if (this.watchdog !== undefined) return;
    const watchdog = spawn("/bin/sh", [join(this.folder, "watchdog.sh")], {
      cwd: "/",
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
    });
    this.watchdog = watchdog;
    // Without a watchdog commands still run; a new one is tried with the next command.
    const forget = () => {
      if (this.watchdog === watchdog) this.watchdog = undefined;
    };
    watchdog.on("error", forget).on("exit", forget);
    watchdog.stdin.on("error", forget);
  }

  add(group: number): void {
    this.watchdog?.stdin.write(`add ${group}\n`);
  }

  drop(group: number): void {
    this.watchdog?.stdin.write(`drop ${group}\n`);
  }
}

/** Sends the signal to every process of the group; a group that has ended is no error. */
export function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
