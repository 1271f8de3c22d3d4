/**
 * One transfer of a file by HTTPS into a file of the host: from its beginning, or on from where an
 * earlier one was cut off. What a server says of itself is checked and never trusted.
 *
 * Sources: RFC 9110, 13.1.5 (If-Range), 14.2 (Range), 14.4 (Content-Range), 15.3.7 (206), 15.5.17 (416).
 */
import { open, type FileHandle } from "node:fs/promises";
import { Readable } from "node:stream";
import { request, type Dispatcher } from "undici";
import { isDiskFull } from "../../config/diskSpace.ts";

export interface TransferDeadlines {
  /** To connect, through a proxy or not. */
  readonly connectSeconds: number;
  /** Within it an answer has to begin, and at least `leastBytes` have to come. */
  readonly stallSeconds: number;
  readonly leastBytes: number;
}

/** What is known of a file that was transferred in part. */
export interface Part {
  readonly bytes: number;
  /** What If-Range takes: a strong ETag or a date. Undefined: the content will be compared later. */
  readonly validator?: string | undefined;
  /** The size of the whole, as an earlier answer had it. */
  readonly total?: number | undefined;
}

export interface TransferRequest {
  readonly url: string;
  /** Written in place. */
  readonly file: string;
  /** What the file has already; undefined: begin anew. */
  readonly part?: Part | undefined;
  /** More is refused. */
  readonly maxBytes: number;
  readonly deadlines: TransferDeadlines;
  readonly dispatcher: Dispatcher;
  readonly signal?: AbortSignal | undefined;
  /** Called when the answer's head is known, before anything is written. */
  readonly onBegin?: (part: Part) => void | Promise<void>;
  readonly onBytes?: (done: number, total: number | undefined) => void;
}

/** Why a transfer did not happen or did not end. */
export class TransferError extends Error {
  override readonly name = "TransferError";

  constructor(
    message: string,
    /** `again`: may pass; `never`: not from this address; `anew`: what is there can't be gone on with. */
    readonly trying: "again" | "never" | "anew",
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

const maxRedirects = 5;

/**
 * Transfers the file to its end.
 * @returns the number of bytes that the file then has
 * @throws TransferError; what has come by then is in the file. Errors of the file system as they are.
 */
export async function transfer(asked: TransferRequest): Promise<number> {
  const { deadlines, part, maxBytes, signal } = asked;
  const stalled = new AbortController();
  const watch = watchRate(deadlines, stalled);
  try {
    const answer = await follow(
      asked,
      AbortSignal.any([stalled.signal, ...(signal ? [signal] : [])]),
    );
    const offset = answer.statusCode === 206 ? (part?.bytes ?? 0) : 0;
    const total = totalOf(answer, offset, part);
    if (total !== undefined && total > maxBytes) {
      discard(answer);
      throw new TransferError(`it has ${total} bytes, allowed are ${maxBytes}`, "never");
    }
    await asked.onBegin?.({ bytes: offset, validator: validatorOf(answer.headers), total });
    const bytes = await write(asked, answer.body, offset, total, watch.count);
    if (total !== undefined && bytes !== total)
      throw new TransferError(`it ended after ${bytes} of ${total} bytes`, "again");
    return bytes;
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    if (stalled.signal.aborted) throw new TransferError(watch.reason(), "again", { cause: error });
    throw explained(error, deadlines);
  } finally {
    watch.end();
  }
}

/** Follows redirects, which may lead to HTTPS only. */
async function follow(
  { url, part, dispatcher, deadlines }: TransferRequest,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  const range =
    part === undefined || part.bytes === 0
      ? {}
      : {
          range: `bytes=${part.bytes}-`,
          ...(part.validator === undefined ? {} : { "if-range": part.validator }),
        };
  let at = url;
  for (let redirects = 0; ; redirects++) {
    if (new URL(at).protocol !== "https:")
      throw new TransferError(`it leads to ${at}, which is not https`, "never");
    const answer = await request(at, {
      dispatcher,
      signal,
      headersTimeout: deadlines.stallSeconds * 1000,
      bodyTimeout: 0,
      // What is compressed on its way has another length and no ranges.
      headers: { "accept-encoding": "identity", "user-agent": "vexlab", ...range },
    });
    const { statusCode } = answer;
    if (statusCode === 200 || statusCode === 206) return answer;
    discard(answer);
    const { location } = answer.headers;
    if ([301, 302, 303, 307, 308].includes(statusCode) && typeof location === "string") {
      if (redirects === maxRedirects)
        throw new TransferError(`it is redirected more than ${maxRedirects} times`, "never");
      if (!URL.canParse(location, at))
        throw new TransferError("it is redirected to no address", "never");
      at = new URL(location, at).href;
      continue;
    }
    if (statusCode === 416)
      throw new TransferError("the server has no more than is here already (HTTP 416)", "anew");
    const passing = statusCode === 408 || statusCode === 429 || statusCode >= 500;
    throw new TransferError(`the server answers HTTP ${statusCode}`, passing ? "again" : "never");
  }
}

/** Nobody waits for the rest of an answer that is of no use. */
function discard({ body }: Dispatcher.ResponseData): void {
  body.on("error", () => undefined);
  body.destroy();
}

type Headers = Dispatcher.ResponseData["headers"];

function validatorOf(headers: Headers): string | undefined {
  const { etag, "last-modified": modified } = headers;
  // A weak tag doesn't stand for the same bytes.
  if (typeof etag === "string" && /^"[^"]*"$/.test(etag)) return etag;
  return typeof modified === "string" ? modified : undefined;
}

/** The size of the whole file; undefined when the server doesn't say. */
function totalOf(
  answer: Dispatcher.ResponseData,
  offset: number,
  part: Part | undefined,
): number | undefined {
  const { statusCode, headers } = answer;
  if (statusCode === 200) {
    const length = headers["content-length"];
    return typeof length === "string" && /^\d{1,15}$/.test(length) ? Number(length) : undefined;
  }
  const wrong = (what: string): TransferError => {
    discard(answer);
    return new TransferError(`the server's answer to a request for the rest ${what}`, "anew");
  };
  if (part === undefined || part.bytes === 0) throw wrong("was not asked for");
  const range = headers["content-range"];
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(
    typeof range === "string" ? range : "",
  );
  if (match === null) throw wrong(`has the range ${String(range)}`);
  const [first, last, total] = match.slice(1).map(Number) as [number, number, number];
  if (first !== offset || last !== total - 1) throw wrong(`has the range ${match[0]}`);
  if (part.total !== undefined && part.total !== total)
    throw wrong(`is of a file of ${total} bytes instead of ${part.total}`);
  return total;
}

async function write(
  { file, maxBytes, onBytes }: TransferRequest,
  body: Readable,
  offset: number,
  total: number | undefined,
  count: (bytes: number) => void,
): Promise<number> {
  const handle = await opened(file, offset);
  let done = offset;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      if (done + chunk.length > maxBytes)
        throw new TransferError(
          `it goes on after ${maxBytes} bytes, more are not allowed`,
          "never",
        );
      await writeAll(handle, chunk, done);
      done += chunk.length;
      count(chunk.length);
      onBytes?.(done, total);
    }
    await handle.sync();
    return done;
  } finally {
    body.on("error", () => undefined);
    body.destroy();
    await handle.close();
  }
}

async function opened(file: string, offset: number): Promise<FileHandle> {
  const handle = await open(file, offset === 0 ? "w" : "r+", 0o600);
  if (offset > 0) await handle.truncate(offset);
  return handle;
}

async function writeAll(handle: FileHandle, chunk: Buffer, position: number): Promise<void> {
  for (let written = 0; written < chunk.length;) {
    const { bytesWritten } = await handle.write(
      chunk,
      written,
      chunk.length - written,
      position + written,
    );
    written += bytesWritten;
  }
}

/** Ends what comes too slowly, or not at all. */
function watchRate(
  { stallSeconds, leastBytes }: TransferDeadlines,
  stop: AbortController,
): {
  readonly count: (bytes: number) => void;
  readonly reason: () => string;
  readonly end: () => void;
} {
  let recent = 0;
  const timer = setInterval(() => {
    if (recent < leastBytes) stop.abort();
    else recent = 0;
  }, stallSeconds * 1000);
  return {
    count: (bytes) => void (recent += bytes),
    reason: () =>
      `${recent === 0 ? "nothing" : `no more than ${recent} bytes`} came in ${stallSeconds} s`,
    end: () => clearInterval(timer),
  };
}

// Codes of Node's net, dns and tls modules and of undici.
const neverCodes: Readonly<Record<string, string>> = {
  ENOTFOUND: "its name can't be resolved",
  ECONNREFUSED: "it refuses connections",
  EHOSTUNREACH: "there is no way to it",
  ENETUNREACH: "there is no way to it",
};
const certificateCodes =
  /^(?:(?:DEPTH_ZERO_)?SELF_SIGNED_CERT|UNABLE_TO_|CERT_|ERR_TLS_CERT|HOSTNAME_MISMATCH|INVALID_CA)/;

/** What went wrong in words; the file system's errors stay what they are. */
function explained(error: unknown, { connectSeconds, stallSeconds }: TransferDeadlines): unknown {
  if (error instanceof TransferError || !(error instanceof Error)) return error;
  if (isDiskFull(error) || ("syscall" in error && "path" in error)) return error;
  const code = codeOf(error);
  const { cause } = error;
  const message = cause instanceof Error && cause.message !== "" ? cause.message : error.message;
  const fail = (text: string, trying: "again" | "never"): TransferError =>
    new TransferError(text, trying, { cause: error });
  if (neverCodes[code] !== undefined) return fail(neverCodes[code], "never");
  if (certificateCodes.test(code))
    return fail(
      `its certificate can't be trusted (${message}); NODE_EXTRA_CA_CERTS names a file with further authorities`,
      "never",
    );
  if (code === "UND_ERR_CONNECT_TIMEOUT")
    return fail(`no connection in ${connectSeconds} s`, "never");
  if (code === "UND_ERR_HEADERS_TIMEOUT") return fail(`no answer in ${stallSeconds} s`, "again");
  return fail(`the transfer was cut off (${message})`, "again");
}

/** The code of an error, or of the first one below it that has one. */
function codeOf(error: Error): string {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (at instanceof AggregateError && at.errors[0] instanceof Error) return codeOf(at.errors[0]);
    if ("code" in at && typeof at.code === "string") return at.code;
  }
  return "";
}
