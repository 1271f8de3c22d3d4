/**
 * The connection under a control session: QEMU's UNIX socket of the guest's virtio-serial port, the
 * greeting that begins a session, and messages to and fro.
 */
import { randomBytes } from "node:crypto";
import { createConnection, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { LineSplitter, overlong } from "./controlLines.ts";
import { parseGuestMessage, type GuestMessage, type HostMessage } from "./controlMessages.ts";
import { GuestError } from "./guestError.ts";
import { kernelReleaseIn } from "./kernelRelease.ts";
import type { ConnectOptions } from "./session.ts";

/** Bytes. The agent's longest line is 32 KiB of output in base64; the rest is for its sentences. */
const longestLine = 1024 * 1024;
/** Milliseconds between attempts while nothing listens on the socket. */
const retryMs = 50;
/** Milliseconds until the greeting is repeated: an agent that was restarted has lost what it read. */
const helloMs = 1000;
/** QEMU is not there yet, or another client has the place in its queue. */
const passing = new Set(["ENOENT", "ECONNREFUSED", "EAGAIN", "ECONNRESET", "EPIPE"]);

/** Bytes; unix(7). Node cuts a longer path and connects to what is left of it. */
const longestPath = 107;

export interface ChannelListener {
  message(message: GuestMessage): void;
  /** @param reason for a person; may be empty. */
  lost(reason: string): void;
}

type Attempt = ControlChannel | "no socket" | "no answer";

export class ControlChannel {
  private readonly lines = new LineSplitter(longestLine);
  private readonly listeners = new Map<number, ChannelListener>();
  private lastId = 0;
  private greeted: string | undefined;
  private lossReason: string | undefined;

  private constructor(
    private readonly socket: Socket,
    private readonly nonce: string,
    private readonly onGreeted: () => void,
  ) {
    socket.on("data", (chunk: Buffer) => this.read(chunk));
    socket.on("error", (error) => this.lose(error.message));
    socket.on("close", () => this.lose(""));
  }

  /**
   * Connects, and tries again until the guest's agent has answered.
   * @throws GuestError `deadline`, with what was waited for; `cancelled`; `refused` for a path that
   * can't be connected to.
   */
  static async open(socketPath: string, options: ConnectOptions): Promise<ControlChannel> {
    if (Buffer.byteLength(socketPath) > longestPath) {
      throw new GuestError(
        "refused",
        `can't connect to ${socketPath}: a socket's path has ${longestPath} bytes at most`,
      );
    }
    const until = performance.now() + options.deadlineMs;
    let attempt: Attempt = "no socket";
    for (;;) {
      if (options.signal?.aborted === true) {
        throw new GuestError("cancelled", `cancelled while connecting to ${socketPath}`);
      }
      const left = until - performance.now();
      if (left <= 0) break;
      attempt = await ControlChannel.attempt(socketPath, left, options.signal);
      if (attempt instanceof ControlChannel) return attempt;
      await sleep(Math.min(retryMs, Math.max(0, until - performance.now())));
    }
    const seconds = options.deadlineMs / 1000;
    throw attempt === "no socket"
      ? new GuestError("deadline", `nothing listened on ${socketPath} within ${seconds} s`)
      : new GuestError(
          "deadline",
          `the guest's agent did not answer on ${socketPath} within ${seconds} s`,
          "Look at the guest's console, and whether another client holds the socket.",
        );
  }

  private static attempt(
    socketPath: string,
    deadlineMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Attempt> {
    return new Promise((resolve, reject) => {
      const socket = createConnection(socketPath);
      const nonce = randomBytes(16).toString("hex");
      let outcome: "no socket" | "no answer" = "no socket";
      let hello: NodeJS.Timeout | undefined;
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        clearInterval(hello);
        signal?.removeEventListener("abort", giveUp);
        socket.off("close", giveUp);
        act();
      };
      const giveUp = (): void =>
        settle(() => {
          socket.destroy();
          resolve(outcome);
        });
      const timer = setTimeout(giveUp, deadlineMs);
      signal?.addEventListener("abort", giveUp, { once: true });
      const channel = new ControlChannel(socket, nonce, () => settle(() => resolve(channel)));
      socket.once("connect", () => {
        outcome = "no answer";
        // The newline ends what a former client may have left half said.
        const greet = (): void => void socket.write(`\n${JSON.stringify({ hello: nonce })}\n`);
        greet();
        hello = setInterval(greet, helloMs);
      });
      socket.once("error", (error: NodeJS.ErrnoException) => {
        if (passing.has(error.code ?? "")) return;
        settle(() =>
          reject(
            new GuestError(
              "refused",
              `can't connect to ${socketPath}: ${error.message}`,
              undefined,
              {
                cause: error,
              },
            ),
          ),
        );
      });
      socket.once("close", giveUp);
    });
  }

  /** The release of the guest's kernel, as the agent said it. */
  get kernelRelease(): string {
    return this.greeted ?? "";
  }

  /** Why nothing can be sent any more (may be empty); undefined while the channel is good. */
  get loss(): string | undefined {
    return this.lossReason;
  }

  /** A number for a command or a request, whose messages go to `listener` until it is forgotten. */
  listen(listener: ChannelListener): number {
    this.lastId += 1;
    this.listeners.set(this.lastId, listener);
    return this.lastId;
  }

  forget(id: number): void {
    this.listeners.delete(id);
  }

  send(message: HostMessage): void {
    if (this.lossReason === undefined) this.socket.write(`${JSON.stringify(message)}\n`);
  }

  close(): void {
    this.lose("it was closed");
  }

  private read(chunk: Buffer): void {
    for (const line of this.lines.push(chunk)) {
      if (this.lossReason !== undefined) return;
      if (this.greeted === undefined) this.awaitHello(line);
      else this.dispatch(line);
    }
    if (this.greeted !== undefined && this.lines.isOverlong) this.lose("its line has no end");
  }

  /** Before the answer come the last words of a former session, whole and half. */
  private awaitHello(line: Buffer | typeof overlong): void {
    if (line === overlong) return;
    const message = parseGuestMessage(line);
    if (message?.kind !== "hello" || message.nonce !== this.nonce) return;
    this.greeted = kernelReleaseIn(message.kernel);
    this.onGreeted();
  }

  private dispatch(line: Buffer | typeof overlong): void {
    const message = line === overlong ? undefined : parseGuestMessage(line);
    if (message === undefined) {
      this.lose("it sent a line that is no message");
    } else if (message.kind !== "hello") {
      // A repeated greeting is answered twice; a number that nobody listens to is a command's that
      // was given up.
      this.listeners.get(message.id)?.message(message);
    }
  }

  private lose(reason: string): void {
    if (this.lossReason !== undefined) return;
    this.lossReason = reason;
    this.socket.destroy();
    for (const listener of [...this.listeners.values()]) listener.lost(reason);
    this.listeners.clear();
  }
}
