/**
 * Downloads of large files: several addresses are tried in turn, each as often as it still gets
 * further; what was cut off is gone on with, in this process or a later one; and a file gets its name
 * only when it is whole and its digest is right.
 *
 *     NAME.partial        what has come so far
 *     NAME.partial.json   where from, and what the server said of it
 *
 * The caller holds a lock: two downloads of one name would write into one file.
 */
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { EnvHttpProxyAgent, type Dispatcher } from "undici";
import writeFileAtomic from "write-file-atomic";
import * as z from "zod";
import { cannotWrite, freeBytes, isDiskFull } from "../../config/diskSpace.ts";
import { digestText, type Digest } from "../../config/digest.ts";
import { ExitCode, LabError } from "../../config/errors.ts";
import { formatDuration, type Progress } from "../../report/progress.ts";
import { digestOf } from "./digest.ts";
import { transfer, TransferError, type Part, type TransferDeadlines } from "./transfer.ts";

export interface DownloadDeadlines extends TransferDeadlines {
  /** For all addresses and attempts together. */
  readonly totalSeconds: number;
  /** Between two attempts at one address. */
  readonly pauseSeconds: number;
}

export const usualDeadlines: DownloadDeadlines = {
  connectSeconds: 10,
  stallSeconds: 30,
  leastBytes: 1024,
  pauseSeconds: 2,
  totalSeconds: 2 * 3600,
};

export interface Download {
  /** For messages, such as "image ubuntu-24.04". */
  readonly what: string;
  /** The same file at several places, in the order in which they are tried. */
  readonly urls: readonly string[];
  /** The file's final name. */
  readonly file: string;
  /** Undefined: nothing is compared, and nothing that was cut off is gone on with. */
  readonly digest?: Digest | undefined;
  readonly maxBytes: number;
}

export interface DownloadContext {
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
  readonly deadlines?: DownloadDeadlines | undefined;
  /** For proxies: HTTPS_PROXY, NO_PROXY. */
  readonly environment?: NodeJS.ProcessEnv | undefined;
  /** Certificates (PEM) that servers' are checked against; Node's own and NODE_EXTRA_CA_CERTS else. */
  readonly authorities?: string | undefined;
}

/** So many attempts in a row that bring nothing end the trials of an address. */
const fruitlessAttempts = 3;
const shownEveryMs = 5000;

/**
 * Downloads a file.
 * @returns the address that it came from
 * @throws LabError when no address gives it, saying of each why (exit 3); hung when the time is over;
 * cancelled. What has come by then stays under another name, to go on with, if there is a digest.
 */
export async function download(asked: Download, context: DownloadContext): Promise<string> {
  const deadlines = context.deadlines ?? usualDeadlines;
  const { signal } = context;
  const total = AbortSignal.timeout(deadlines.totalSeconds * 1000);
  const dispatcher = proxied(context, deadlines);
  const partial = new PartialFile(asked);
  const failures: string[] = [];
  try {
    await mkdir(dirname(asked.file), { recursive: true });
    for (const url of asked.urls) {
      const run = {
        url,
        deadlines,
        dispatcher,
        signal: AbortSignal.any([total, ...(signal ? [signal] : [])]),
      };
      const failure = await fromAddress(asked, partial, run, context.progress);
      if (failure === undefined) return url;
      failures.push(`${withoutSecret(url)}: ${failure}`);
    }
  } catch (error) {
    if (signal?.aborted)
      throw new LabError("cancelled", ExitCode.cancelled, undefined, { cause: error });
    if (total.aborted)
      throw new LabError(
        `${asked.what} has not come within ${formatDuration(deadlines.totalSeconds * 1000)}`,
        ExitCode.hung,
        asked.digest && "What has come is kept: the next attempt goes on from there.",
        { cause: error },
      );
    if (isDiskFull(error)) throw await cannotWrite(asked.file, error);
    throw error;
  } finally {
    if (asked.digest === undefined) await partial.remove();
    // What is under way was ended above; nothing is worth waiting for.
    void dispatcher.destroy().catch(() => undefined);
  }
  throw new LabError(
    `${asked.what} can't be downloaded:\n${failures.map((line) => `  ${line}`).join("\n")}`,
    ExitCode.infrastructureFailed,
    "Look at the network and the proxy (HTTPS_PROXY, NO_PROXY), or name another address: docs/images.md.",
  );
}

interface Run {
  readonly url: string;
  readonly deadlines: DownloadDeadlines;
  readonly dispatcher: Dispatcher;
  readonly signal: AbortSignal;
}

/** @returns why this address doesn't give the file; undefined when it has its name */
async function fromAddress(
  asked: Download,
  partial: PartialFile,
  { url, deadlines, dispatcher, signal }: Run,
  progress: Progress,
): Promise<string | undefined> {
  let fruitless = 0;
  // What lay there was thrown away: once, else a server that lies would be asked for ever.
  let anew = false;
  // A server would answer a request for nothing with 416.
  if ((await partial.isWhole()) && (await partial.finish(signal)) === undefined) return undefined;
  for (;;) {
    const part = await partial.usable(url);
    const before = part?.bytes ?? 0;
    if (before > 0) progress.line(`goes on at ${mebibytes(before)}`);
    const shown = rate(progress, before);
    try {
      await transfer({
        ...{ url, file: partial.file, part, deadlines, dispatcher, signal },
        maxBytes: asked.maxBytes,
        onBegin: async (begun) => {
          await room(asked, begun);
          await partial.note(url, begun);
        },
        onBytes: shown,
      });
      const failure = await partial.finish(signal);
      if (failure === undefined) return undefined;
      // What lay there may have been of another file than what was added to it.
      if (before === 0 || anew) return failure;
      anew = true;
      progress.line(`${failure}; from the beginning again`);
    } catch (error) {
      if (signal.aborted || !(error instanceof TransferError)) throw error;
      progress.line(`${withoutSecret(url)}: ${error.message}`);
      if (error.trying === "never") return error.message;
      const bytes = await partial.bytes();
      if (error.trying === "anew") {
        await partial.remove();
        if (anew) return error.message;
        anew = true;
      }
      // An answer that is not gone on with is fruitless, however much came.
      const further = error.trying === "again" && asked.digest !== undefined && bytes > before;
      fruitless = further ? 0 : fruitless + 1;
      if (fruitless === fruitlessAttempts) return error.message;
      await sleep(deadlines.pauseSeconds * 1000, undefined, { signal });
    }
  }
}

/** @throws LabError when the rest doesn't fit on the disk */
async function room({ file, what }: Download, { bytes, total }: Part): Promise<void> {
  const free = await freeBytes(dirname(file));
  if (total === undefined || total - bytes <= free) return;
  throw new LabError(
    `${what} needs ${mebibytes(total - bytes)} more on the disk, and ${dirname(file)} has ${mebibytes(free)} free`,
    ExitCode.infrastructureFailed,
    "Free some space (vexlab image prune), or set VEXLAB_CACHE_DIR to a larger file system.",
  );
}

const noteSchema = z.object({
  url: z.string(),
  validator: z.string().optional(),
  total: z.number().optional(),
});

/** What has come of a file. */
class PartialFile {
  readonly file: string;
  private readonly noteFile: string;

  constructor(private readonly asked: Download) {
    this.file = `${asked.file}.partial`;
    this.noteFile = `${this.file}.json`;
  }

  async bytes(): Promise<number> {
    const status = await stat(this.file).catch(() => undefined);
    return status?.size ?? 0;
  }

  /**
   * What a transfer from an address can go on from. The same address says by itself whether its file is
   * still the same; from another one the rest is taken when the whole has the same size there, and the
   * digest decides.
   */
  async usable(url: string): Promise<Part | undefined> {
    const bytes = await this.bytes();
    if (this.asked.digest === undefined || bytes === 0) return undefined;
    const note = await this.readNote();
    if (note?.url === url && note.validator !== undefined)
      return { bytes, validator: note.validator, total: note.total };
    return note?.total === undefined || bytes >= note.total
      ? undefined
      : { bytes, total: note.total };
  }

  /** Everything has come, and only its name is missing. */
  async isWhole(): Promise<boolean> {
    if (this.asked.digest === undefined) return false;
    const total = (await this.readNote())?.total;
    return total !== undefined && total === (await this.bytes());
  }

  private async readNote(): Promise<z.output<typeof noteSchema> | undefined> {
    const text = await readFile(this.noteFile, "utf8").catch(() => "{}");
    return noteSchema.safeParse(parsed(text)).data;
  }

  async note(url: string, { validator, total }: Part): Promise<void> {
    await writeFileAtomic(this.noteFile, JSON.stringify({ url, validator, total }));
  }

  /** Gives the file its name. @returns why not: its content is not what was asked for */
  async finish(signal: AbortSignal): Promise<string | undefined> {
    const { digest, file } = this.asked;
    if (digest !== undefined) {
      const found = await digestOf(this.file, digest.algorithm, signal);
      if (found.hex !== digest.hex) {
        await this.remove();
        return `its content is not what it should be: ${digestText(found)} instead of ${digestText(digest)}`;
      }
    }
    await rename(this.file, file);
    await rm(this.noteFile, { force: true });
    const folder = await open(dirname(file));
    await folder.sync().finally(() => folder.close());
    return undefined;
  }

  async remove(): Promise<void> {
    await rm(this.file, { force: true });
    await rm(this.noteFile, { force: true });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Connections by the proxies that the environment names, as other programs take them. */
function proxied(
  { environment = process.env, authorities }: DownloadContext,
  { connectSeconds }: TransferDeadlines,
): Dispatcher {
  const value = (name: string): string | undefined =>
    environment[name.toLowerCase()] ?? environment[name];
  const https = value("HTTPS_PROXY") ?? value("ALL_PROXY") ?? "";
  if (https !== "" && !URL.canParse(https))
    throw new LabError(
      `HTTPS_PROXY is ${https}: not an address`,
      ExitCode.usage,
      "Set it to an address such as http://proxy:3128, or unset it.",
    );
  const tls = authorities === undefined ? {} : { ca: authorities };
  return new EnvHttpProxyAgent({
    connect: { timeout: connectSeconds * 1000, ...tls },
    requestTls: tls,
    // Empty: none, whatever this process's own environment says.
    httpProxy: "",
    httpsProxy: https,
    noProxy: value("NO_PROXY") ?? "",
  });
}

/** Without the name, password and tokens that an address may hold. */
export function withoutSecret(url: string): string {
  if (!URL.canParse(url)) return url;
  const clean = new URL(url);
  clean.username = "";
  clean.password = "";
  clean.search = "";
  return clean.href;
}

const mebibytes = (bytes: number): string =>
  bytes < 2 ** 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** A line of progress every few seconds. */
function rate(
  progress: Progress,
  offset: number,
): (done: number, total: number | undefined) => void {
  const began = performance.now();
  let shown = began;
  return (done, total) => {
    const now = performance.now();
    if (now - shown < shownEveryMs) return;
    shown = now;
    const perMs = (done - offset) / (now - began);
    const rest =
      total === undefined || perMs === 0 ? "" : `, ${formatDuration((total - done) / perMs)} left`;
    const of =
      total === undefined ? "" : ` of ${mebibytes(total)} (${Math.floor((done / total) * 100)} %)`;
    progress.line(`${mebibytes(done)}${of}, ${mebibytes(perMs * 1000)}/s${rest}`);
  };
}
