import type { Client, ClientChannel } from "ssh2";
import { commandName, CommandWatch, killDeadlineMs } from "./commandWatch.ts";
import { GuestError } from "./guestError.ts";
import type { CommandOptions, CommandResult } from "./session.ts";
import { shellWords } from "./shellWords.ts";

/*
 * sshd gives each command a session of its own (setsid), and the shell that it starts leads it. The
 * shell tells us its number in one marked line on stderr and becomes the command, so that
 * everything in that session can be killed later, also what sudo runs. SSH's own signal request
 * can't: sshd delivers it with the user's rights.
 */
const announcePid = String.raw`printf '\001%s\n' "$$" >&2; exec `;
// eslint-disable-next-line no-control-regex
const pidLine = /\u0001(\d+)\n/;
const pidLineWithin = 4096;

/** Runs a program over an SSH connection; see GuestSession.run. */
export async function runCommand(
  client: Client,
  argv: readonly string[],
  options: CommandOptions,
): Promise<CommandResult> {
  const name = commandName(argv);
  const line = announcePid + shellWords(argv);
  let sessionLeader: string | undefined;
  let channel: ClientChannel | undefined;

  let held: string | undefined = "";
  const filterStderr = (text: string, ended: boolean): string => {
    if (held === undefined) return text;
    held += text;
    const match = pidLine.exec(held);
    if (match === null && held.length < pidLineWithin && !ended) return "";
    sessionLeader = match?.[1];
    const rest = match === null ? held : held.replace(match[0], "");
    held = undefined;
    return rest;
  };
  const watch = new CommandWatch(name, options, {
    async kill() {
      const killed = await killSession(client, sessionLeader);
      channel?.close();
      return killed;
    },
    settled: () => void client.off("close", watch.lost),
    filterStderr,
  });
  client.once("close", watch.lost);

  const opened = (error: Error | undefined, opening: ClientChannel): void => {
    if (error !== undefined) {
      watch.fail(
        new GuestError("lost", `the guest did not start ${name}: ${error.message}`, undefined, {
          cause: error,
        }),
      );
      return;
    }
    if (watch.settled) {
      opening.close();
      return;
    }
    channel = opening;
    let exitCode: number | null | undefined;
    let signal: string | null = null;
    opening.on("exit", (code: number | null, signalName?: string) => {
      exitCode = code;
      signal = signalName ?? null;
    });
    opening.on("data", (chunk: Buffer) => watch.addStdout(chunk));
    opening.stderr.on("data", (chunk: Buffer) => watch.addStderr(chunk));
    opening.on("close", () => {
      watch.endOutput();
      if (exitCode === undefined) watch.lost();
      else watch.finish(exitCode, signal);
    });
    // A program that doesn't read its input to the end is no error.
    opening.on("error", () => undefined);

    const { stdin } = options;
    if (stdin === undefined || typeof stdin === "string") {
      opening.end(stdin ?? "");
    } else {
      stdin.on("error", watch.inputFailed);
      stdin.pipe(opening);
    }
  };

  try {
    client.exec(line, opened);
  } catch {
    // ssh2 throws when the connection is already closed.
    watch.lost();
  }
  return watch.result;
}

/** Whether the guest confirmed that the session's processes were signalled. */
function killSession(client: Client, leader: string | undefined): Promise<boolean> {
  if (leader === undefined) return Promise.resolve(false);
  // As root where that needs no password, because the command may have become root by sudo.
  const script = `
as_root=
if [ "$(id -u)" != 0 ] && sudo -n true 2>/dev/null; then as_root='sudo -n'; fi
signal() { $as_root pkill "-$1" -s "$2" 2>/dev/null || $as_root kill "-$1" -- "-$2" 2>/dev/null; }
signal TERM "$1"
for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 -- "-$1" 2>/dev/null || exit 0; sleep 0.1; done
signal KILL "$1"
exit 0`;
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), killDeadlineMs);
    const answer = (killed: boolean): void => {
      clearTimeout(timer);
      resolve(killed);
    };
    try {
      client.exec(shellWords(["sh", "-c", script, "kill", leader]), (error, channel) => {
        if (error !== undefined) {
          answer(false);
          return;
        }
        channel.on("exit", (code: number | null) => answer(code === 0));
        channel.on("close", () => answer(false));
        channel.resume();
        channel.stderr.resume();
        channel.end();
      });
    } catch {
      answer(false);
    }
  });
}
