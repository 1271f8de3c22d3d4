/**
 * A session with a guest over its control channel (docs/architecture.md): the same commands and
 * folders as over SSH, without the second or more that a handshake's cryptography costs an emulated
 * guest, and the renewal of its identity after a start from a saved memory state.
 *
 * QEMU's socket takes one client at a time; a new session ends the commands of the former one.
 */
import { randomBytes } from "node:crypto";
import { ControlChannel } from "./controlChannel.ts";
import { runOverChannel, type ControlCommandOptions } from "./controlCommand.ts";
import type { GuestMessage } from "./controlMessages.ts";
import { GuestError } from "./guestError.ts";
import type { CommandResult, ConnectOptions, TransferOptions } from "./session.ts";
import { uploadTree } from "./transfer.ts";

/** The name of the virtio-serial port: /dev/virtio-ports/… in the guest. */
export const controlPort = "vexlab.control";

/** Milliseconds; the agent gives the mount 30 s and says so. */
const renewalDeadlineMs = 60_000;
/** Bytes for the guest's random pool; 256 bits would do (the kernel's POOL_READY_BITS). */
const seedBytes = 64;

export interface ControlOptions extends ConnectOptions {
  /** Whom commands run as, and whose key renewIdentity replaces. */
  readonly user: string;
}

/** A line of fstab(5). */
export interface FileSystemMount {
  readonly source: string;
  readonly folder: string;
  readonly type: string;
  readonly options: string;
}

/** What makes the copy of a saved guest a guest of its own. */
export interface GuestIdentity {
  readonly hostname: string;
  /** 32 hexadecimal digits; see machine-id(5). */
  readonly machineId: string;
  /** OpenSSH's formats: the text of an ed25519 private key file, and the line of its public one. */
  readonly hostKey: { readonly private: string; readonly public: string };
  /** The one line of the user's authorized_keys. */
  readonly authorizedKey: string;
  /** As in the meta-data of the guest's cloud-init disk, so that a cold boot finds nothing new. */
  readonly instanceId: string;
  /** How to mount the share: by its line in /etc/fstab, or as another line; not at all. */
  readonly mount: "fstab" | FileSystemMount | undefined;
  /** Whether sshd must listen again, with the new key, when this ends. */
  readonly sshd: boolean;
}

export type { ControlCommandOptions };

export class ControlSession {
  private constructor(
    private readonly channel: ControlChannel,
    readonly user: string,
  ) {}

  /**
   * Connects to QEMU's socket and greets the guest's agent, again and again until it answers.
   * @throws GuestError `deadline` (says whether the socket or the agent was missing), `cancelled`,
   * `refused` when the path can't be a socket of ours.
   */
  static async connect(socketPath: string, options: ControlOptions): Promise<ControlSession> {
    return new ControlSession(await ControlChannel.open(socketPath, options), options.user);
  }

  /** The release of the guest's kernel, as `uname -r` says it. */
  get kernelRelease(): string {
    return this.channel.kernelRelease;
  }

  /**
   * Runs a program in the guest; the words of `argv` arrive unchanged. A program that fails is a
   * result, not an error, and so is one that isn't there (127) or can't be run (126).
   * @throws GuestError when the channel is lost, a deadline passes, the signal aborts, or there is
   * no such user or `cwd` in the guest; what the program had started is then killed.
   */
  run(argv: readonly string[], options: ControlCommandOptions): Promise<CommandResult> {
    return runOverChannel(this.channel, argv, this.user, options);
  }

  /** Copies what a folder holds into a folder of the guest, which is made if need be. */
  uploadFolder(local: string, remote: string, options: TransferOptions = {}): Promise<void> {
    return uploadTree(
      (argv, commandOptions) => this.run(argv, commandOptions),
      local,
      remote,
      options,
    );
  }

  /**
   * Gives the guest its own identity, clock (this host's) and randomness.
   * @returns a sentence for each thing that did not succeed; the others were done.
   * @throws GuestError `lost`, `deadline` (one minute by default) or `cancelled`.
   */
  renewIdentity(identity: GuestIdentity, options: TransferOptions = {}): Promise<string[]> {
    const { channel, user } = this;
    const { deadlineMs = renewalDeadlineMs, signal } = options;
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
        channel.forget(id);
        act();
      };
      const fail = (fault: "lost" | "deadline" | "cancelled", message: string): void =>
        settle(() => reject(new GuestError(fault, message)));
      const abort = (): void => fail("cancelled", "cancelled: renewing the guest's identity");
      const lost = (reason: string): void =>
        fail("lost", `the connection to the guest was lost: renewing its identity (${reason})`);
      const timer = setTimeout(
        () => fail("deadline", `the guest's identity was not renewed in ${deadlineMs / 1000} s`),
        deadlineMs,
      );
      const message = (answer: GuestMessage): void => {
        if (answer.kind === "identified") settle(() => resolve([...answer.problems]));
      };
      const id = channel.listen({ message, lost });
      signal?.addEventListener("abort", abort, { once: true });
      if (channel.loss !== undefined) {
        lost(channel.loss);
      } else if (signal?.aborted === true) {
        abort();
      } else {
        channel.send({
          ...identity,
          identity: id,
          user,
          time: Date.now() / 1000,
          seed: randomBytes(seedBytes).toString("base64"),
        });
      }
    });
  }

  /** Ends the connection; commands that still run fail as lost. May be called twice. */
  close(): void {
    this.channel.close();
  }
}
