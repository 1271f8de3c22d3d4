/**
 * Downloads that fail fast and never leave half a file: a host that doesn't answer is remembered for
 * the run, data that stops coming ends the download, and a file gets its name only when it is whole
 * and its checksum is right. curl(1) does the transfer, because it follows the user's proxy settings,
 * which Node's own fetch doesn't.
 */
import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { execa } from "execa";
import { sha256OfFile } from "./sha256.ts";

/** Why a download did not happen; the caller goes on to the next source. */
export class DownloadError extends Error {
  override readonly name = "DownloadError";
}

export interface Deadlines {
  /** To resolve the name and connect. */
  readonly connectSeconds: number;
  /** Without a byte, before the answer or in the middle of it. */
  readonly stallSeconds: number;
  /** For the whole download. */
  readonly totalSeconds: number;
}

export const usualDeadlines: Deadlines = { connectSeconds: 4, stallSeconds: 15, totalSeconds: 600 };

// curl's exit codes (EXIT CODES in curl(1)) that say that the host can't be reached at all.
const unreachableCodes = new Map([
  [5, "its proxy's name can't be resolved"],
  [6, "its name can't be resolved"],
  [7, "it refuses connections"],
  [35, "no secure connection can be made"],
]);
const deadlinePassed = 28;

/** Remembers for the run which hosts don't answer, so that a closed network is paid for once a host. */
export class Network {
  private readonly unreachableHosts = new Map<string, string>();

  constructor(
    private readonly deadlines: Deadlines = usualDeadlines,
    private readonly environment: NodeJS.ProcessEnv = process.env,
  ) {}

  private async curl(address: string, args: readonly string[]): Promise<void> {
    const host = new URL(address).host;
    const known = this.unreachableHosts.get(host);
    if (known) throw new DownloadError(known);
    const { connectSeconds, stallSeconds, totalSeconds } = this.deadlines;
    const result = await execa(
      "curl",
      [
        ["--disable", "--fail", "--location", "--silent", "--show-error"],
        ["--proto", "=https,http", "--connect-timeout", String(connectSeconds)],
        ["--speed-limit", "1", "--speed-time", String(stallSeconds)],
        ["--max-time", String(totalSeconds)],
        args,
        ["--", address],
      ].flat(),
      {
        env: this.environment,
        extendEnv: false,
        reject: false,
        stdin: "ignore",
        stdout: "ignore",
      },
    );
    if (result.exitCode === 0) return;
    if (result.exitCode === undefined)
      throw new DownloadError(`curl can't be run: ${result.shortMessage}`);
    const said = result.stderr.trim().replace(/^curl: \(\d+\) /, "");
    const noConnection = /connect|resolv/i.test(said) && /timed out|timeout/i.test(said);
    const reason =
      unreachableCodes.get(result.exitCode) ??
      (result.exitCode === deadlinePassed && noConnection
        ? `no connection in ${connectSeconds} s`
        : undefined);
    if (reason === undefined) throw new DownloadError(`${address}: ${said}`);
    const problem = `${host} can't be reached: ${reason}`;
    this.unreachableHosts.set(host, problem);
    throw new DownloadError(problem);
  }

  /**
   * Asks the host for anything at all.
   *
   * @throws DownloadError when it can't be reached; an answer that refuses the request is an answer.
   */
  async reach(address: string): Promise<void> {
    await this.curl(address, ["--no-fail", "--head", "--output", "/dev/null"]);
  }

  /** A small text, such as a list of checksums, kept in a file. */
  async text(address: string, destination: string): Promise<string> {
    await this.file(address, destination);
    return readFile(destination, "utf8");
  }

  /**
   * Downloads a file; it appears under its name only when whole.
   *
   * @param sha256 the expected sum in hex, compared before the file gets its name
   * @returns the file's sum
   * @throws DownloadError
   */
  async file(address: string, destination: string, sha256?: string): Promise<string> {
    await mkdir(dirname(destination), { recursive: true });
    const partial = `${destination}.${randomUUID()}.partial`;
    try {
      await this.curl(address, ["--output", partial]);
      // An answer without a body makes curl write no file at all.
      const handle = await open(partial, "a");
      await handle.sync();
      await handle.close();
      const sum = await sha256OfFile(partial);
      if (sha256 !== undefined && sum !== sha256)
        throw new DownloadError(`${address}: SHA-256 is ${sum}, published is ${sha256}`);
      await rename(partial, destination);
      return sum;
    } finally {
      await rm(partial, { force: true });
    }
  }
}

/**
 * The sum of a file in a published list, whose lines are "<hex>  <file name>" as sha256sum(1)
 * prints them; undefined when the list doesn't name the file.
 */
export function sumInList(list: string, fileName: string): string | undefined {
  for (const line of list.split("\n")) {
    const match = /^([0-9a-f]{64})\s+\*?(.+?)\s*$/i.exec(line);
    if (match?.[1] && match[2] === fileName) return match[1].toLowerCase();
  }
  return undefined;
}
