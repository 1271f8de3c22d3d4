import { ExitCode, LabError } from "../config/errors.ts";

/** What went wrong between the host and a guest, for callers that act on it. */
export type GuestFault =
  /** Nothing listens on the port. */
  | "refused"
  /** The port accepts, but no SSH server has spoken: QEMU's port forward without an sshd behind. */
  | "no-banner"
  /** The SSH server spoke, but the handshake broke off. */
  | "handshake"
  /** No host key of this guest is known yet. */
  | "host-key-unknown"
  | "host-key-changed"
  | "auth-refused"
  /** The connection broke after it was established. */
  | "lost"
  /** The time allowed in all has passed. */
  | "deadline"
  /** A command printed nothing for the time allowed. */
  | "silence"
  | "cancelled"
  /** A file could not be read or written, here or in the guest. */
  | "transfer";

const exitCodes: Partial<Record<GuestFault, ExitCode>> = {
  "no-banner": ExitCode.hung,
  deadline: ExitCode.hung,
  silence: ExitCode.hung,
  cancelled: ExitCode.cancelled,
};

/** A failure of the SSH session with a guest. */
export class GuestError extends LabError {
  override readonly name = "GuestError";

  constructor(
    readonly fault: GuestFault,
    message: string,
    next?: string,
    options?: ErrorOptions & {
      /** What the command had printed until then. */
      readonly output?: { readonly stdout: string; readonly stderr: string };
    },
  ) {
    super(message, exitCodes[fault] ?? ExitCode.infrastructureFailed, next, options);
    this.output = options?.output;
  }

  readonly output: { readonly stdout: string; readonly stderr: string } | undefined;
}
