/**
 * One SSH connection to a guest, used for everything that a verb does there: under emulation each
 * handshake costs more than a second.
 *
 * The guest's host key must be the pinned one, only the stack's own key is offered, and every wait
 * has a deadline. Failures are GuestErrors, which tell apart a closed port, a port without an SSH
 * server, a wrong key, a lost connection and a passed deadline.
 */
import type { Readable } from "node:stream";
import type { Client } from "ssh2";
import { runCommand } from "./command.ts";
import { loadClient, openConnection } from "./connection.ts";
import { GuestError } from "./guestError.ts";
import { downloadFile, uploadFile, uploadTree } from "./transfer.ts";

export interface GuestAddress {
  /** Always 127.0.0.1: the port forward of the guest listens nowhere else. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** OpenSSH private key. */
  readonly privateKeyFile: string;
  /** known_hosts file with the guest's pinned host key. */
  readonly knownHostsFile: string;
}

export interface CommandOptions {
  /** Milliseconds in all; then the command is killed and `run` fails with exit code `hung`. */
  readonly deadlineMs: number;
  /** Milliseconds without output after which the same happens; default: no such limit. */
  readonly silenceMs?: number;
  /** Sent to the command, then closed; default: closed at once. */
  readonly stdin?: string | Readable;
  /** Called with each piece of output as it comes; pieces are whole characters, not lines. */
  onStdout?(chunk: string): void;
  onStderr?(chunk: string): void;
  /** Aborting it kills the command; `run` then fails with exit code `cancelled`. */
  readonly signal?: AbortSignal;
  /** Characters of each stream that the result keeps, from the end; default 16 Mi. */
  readonly keep?: number;
}

export interface CommandResult {
  /** Null when a signal ended the command. */
  readonly exitCode: number | null;
  /** Such as `SIGKILL`; null when the command exited by itself. */
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly milliseconds: number;
}

export interface ConnectOptions {
  /** Milliseconds from the first packet to an authenticated connection. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
}

export interface TransferOptions {
  /** Milliseconds for the whole transfer; default 5 minutes. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  /** Bytes that a download may have; default 512 MiB. The guest must not fill the host's disk. */
  readonly most?: number;
}

export class GuestSession {
  private constructor(
    readonly address: GuestAddress,
    private readonly client: Client,
  ) {}

  /** Loads what connecting takes, for somebody who waits for something else first. */
  static prepare(): void {
    // What goes wrong is told when one connects.
    loadClient().catch(() => undefined);
  }

  /**
   * Connects and authenticates, in one attempt.
   * @throws GuestError
   */
  static async connect(address: GuestAddress, options: ConnectOptions): Promise<GuestSession> {
    return new GuestSession(address, await openConnection(address, options));
  }

  /**
   * Runs a program in the guest, as the session's user; the words of `argv` arrive unchanged. A
   * program that fails is a result, not an error.
   * @throws GuestError when the connection is lost, a deadline passes or the signal aborts; what the
   * program had started is then killed, as far as the guest still answers.
   */
  run(argv: readonly string[], options: CommandOptions): Promise<CommandResult> {
    return runCommand(this.client, argv, options);
  }

  /** Copies a file; it appears in the guest under its name only when it is whole. */
  upload(
    localFile: string,
    remoteFile: string,
    mode = 0o644,
    options: TransferOptions = {},
  ): Promise<void> {
    return uploadFile(this.client, localFile, remoteFile, mode, options);
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

  /** Copies a file from the guest; it appears under its name only when it is whole. */
  download(remote: string, local: string, options: TransferOptions = {}): Promise<void> {
    return downloadFile(this.client, remote, local, options);
  }

  /** Ends the connection; commands that still run fail as lost. May be called twice. */
  close(): void {
    this.client.end();
  }
}

export { GuestError };
