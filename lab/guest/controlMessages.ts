/**
 * The messages of the control channel (docs/architecture.md), one JSON object a line.
 *
 * The guest's are checked by hand: a test's output comes through here, and the guest is not trusted.
 */

/** What the host sends. Numbers of commands and requests are the host's, and never used twice. */
export type HostMessage =
  | { readonly hello: string }
  | {
      readonly run: number;
      readonly argv: readonly string[];
      readonly user: string;
      readonly cwd?: string;
      readonly env?: Readonly<Record<string, string>>;
      readonly stdin: boolean;
    }
  /** Base64. */
  | { readonly in: number; readonly data: string }
  | { readonly in: number; readonly end: true }
  | { readonly kill: number }
  | ({ readonly identity: number } & Readonly<Record<string, unknown>>);

export type GuestMessage =
  | { readonly kind: "hello"; readonly nonce: string; readonly kernel: string }
  | {
      readonly kind: "output";
      readonly id: number;
      readonly stream: "out" | "err";
      readonly data: Buffer;
    }
  /** So many bytes of the command's input have gone into its pipe. */
  | { readonly kind: "took"; readonly id: number; readonly bytes: number }
  | {
      readonly kind: "exit";
      readonly id: number;
      readonly code: number | null;
      readonly signal: string | null;
    }
  | {
      readonly kind: "failed";
      readonly id: number;
      readonly error: string;
      /** A shell's exit status for it: 127 no such program, 126 can't be run; else undefined. */
      readonly code: number | undefined;
    }
  | { readonly kind: "identified"; readonly id: number; readonly problems: readonly string[] };

/** The message on a line; undefined when it is none. */
export function parseGuestMessage(line: Buffer): GuestMessage | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line.toString("utf8"));
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const message = value as Record<string, unknown>;
  return (
    parseOutput(message, "out") ?? parseOutput(message, "err") ?? parseEvent(message) ?? undefined
  );
}

function parseOutput(
  message: Record<string, unknown>,
  stream: "out" | "err",
): GuestMessage | undefined {
  const { [stream]: id, data } = message;
  if (!isCount(id) || typeof data !== "string") return undefined;
  return { kind: "output", id, stream, data: Buffer.from(data, "base64") };
}

function parseEvent(message: Record<string, unknown>): GuestMessage | undefined {
  const { took, bytes, exit, code, signal, failed, error, identified, problems } = message;
  if (isCount(took) && isCount(bytes)) return { kind: "took", id: took, bytes };
  if (isCount(exit)) {
    const ended = isCount(code) && code < 256 && signal === null;
    const killed = code === null && typeof signal === "string" && /^SIG[A-Z0-9]+$/.test(signal);
    if (ended) return { kind: "exit", id: exit, code, signal };
    return killed ? { kind: "exit", id: exit, code, signal } : undefined;
  }
  if (isCount(failed) && typeof error === "string") {
    return { kind: "failed", id: failed, error, code: isCount(code) ? code : undefined };
  }
  if (isCount(identified) && Array.isArray(problems)) {
    return { kind: "identified", id: identified, problems: problems.map(String) };
  }
  const { hello, kernel } = message;
  if (typeof hello === "string" && typeof kernel === "string") {
    return { kind: "hello", nonce: hello, kernel };
  }
  return undefined;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
