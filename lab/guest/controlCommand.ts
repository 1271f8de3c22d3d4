import { Readable } from "node:stream";
import { commandName, CommandWatch, killDeadlineMs } from "./commandWatch.ts";
import type { ControlChannel } from "./controlChannel.ts";
import type { GuestMessage } from "./controlMessages.ts";
import { GuestError } from "./guestError.ts";
import type { CommandOptions, CommandResult } from "./session.ts";

/** Bytes of one message's data, before base64; what the port takes at a time. */
const chunkBytes = 32 * 1024;
/** Bytes of input that may be on their way to a command that doesn't read. */
const windowBytes = 256 * 1024;

export interface ControlCommandOptions extends CommandOptions {
  /** Whom it runs as; default: the session's user. */
  readonly user?: string;
  /** Default: the user's home. */
  readonly cwd?: string;
  /** Added to the environment of the user's session. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a program over the control channel; see ControlSession.run. */
export async function runOverChannel(
  channel: ControlChannel,
  argv: readonly string[],
  user: string,
  options: ControlCommandOptions,
): Promise<CommandResult> {
  if (argv.length === 0) throw new TypeError("no program to run");
  if (argv.some((word) => word.includes("\0"))) throw new TypeError("an argument holds a NUL byte");
  const name = commandName(argv);
  let endOfKill: ((killed: boolean) => void) | undefined;
  let input: Input | undefined;
  let id = 0;

  const watch = new CommandWatch(name, options, {
    kill: () =>
      new Promise((resolve) => {
        const timer = setTimeout(() => resolve(false), killDeadlineMs);
        endOfKill = (killed) => {
          clearTimeout(timer);
          resolve(killed);
        };
        if (channel.loss !== undefined) endOfKill(false);
        channel.send({ kill: id });
      }),
    settled() {
      input?.stop();
      channel.forget(id);
    },
  });
  const lost = (reason: string): void => {
    endOfKill?.(false);
    watch.lostBecause(reason);
  };
  const ended = (exitCode: number | null, signal: string | null): void => {
    endOfKill?.(true);
    watch.endOutput();
    watch.finish(exitCode, signal);
  };
  const failed = ({ error, code }: GuestMessage & { kind: "failed" }): void => {
    if (code !== undefined) {
      // As a shell would have it: a program that can't be run is a result.
      watch.addStderr(Buffer.from(`${error}\n`));
      ended(code, null);
      return;
    }
    endOfKill?.(true);
    watch.fail(new GuestError("lost", `the guest did not start ${name}: ${error}`));
  };

  id = channel.listen({
    message(message) {
      if (message.kind === "output") {
        if (message.stream === "out") watch.addStdout(message.data);
        else watch.addStderr(message.data);
      } else if (message.kind === "took") {
        input?.took(message.bytes);
      } else if (message.kind === "exit") {
        ended(message.code, message.signal);
      } else if (message.kind === "failed") {
        failed(message);
      }
    },
    lost,
  });
  if (channel.loss !== undefined) {
    lost(channel.loss);
    return watch.result;
  }
  const { stdin = "", cwd, env } = options;
  channel.send({
    run: id,
    argv,
    user: options.user ?? user,
    stdin: stdin !== "",
    ...(cwd !== undefined && { cwd }),
    ...(env !== undefined && { env }),
  });
  if (stdin !== "") {
    const source = typeof stdin === "string" ? Readable.from([Buffer.from(stdin)]) : stdin;
    input = new Input(channel, id, source, watch.inputFailed);
  }
  return watch.result;
}

/** A command's input, sent no faster than the command takes it. */
class Input {
  private readonly waiting: Buffer[] = [];
  private onTheWay = 0;
  private ended = false;

  constructor(
    private readonly channel: ControlChannel,
    private readonly id: number,
    private readonly source: Readable,
    private readonly failed: (error: Error) => void,
  ) {
    source.on("data", this.add).on("end", this.end).on("error", failed);
  }

  took(bytes: number): void {
    this.onTheWay = Math.max(0, this.onTheWay - bytes);
    this.pump();
  }

  stop(): void {
    this.source.off("data", this.add).off("end", this.end).pause();
    // Its errors have nobody to go to any more, and must not end the process.
    this.source.off("error", this.failed).on("error", () => undefined);
    this.ended = false;
    this.waiting.length = 0;
  }

  private readonly add = (data: Buffer | string): void => {
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      this.waiting.push(bytes.subarray(at, at + chunkBytes));
    }
    this.pump();
  };

  private readonly end = (): void => {
    this.ended = true;
    this.pump();
  };

  private pump(): void {
    while (this.onTheWay < windowBytes) {
      const chunk = this.waiting.shift();
      if (chunk === undefined) break;
      this.onTheWay += chunk.length;
      this.channel.send({ in: this.id, data: chunk.toString("base64") });
    }
    if (this.waiting.length > 0) {
      this.source.pause();
    } else if (this.ended) {
      this.ended = false;
      this.channel.send({ in: this.id, end: true });
    } else {
      this.source.resume();
    }
  }
}
