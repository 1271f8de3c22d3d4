import { randomBytes } from "node:crypto";
import { mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { PassThrough } from "node:stream";
import { execa } from "execa";
import type { Client, SFTPWrapper } from "ssh2";
import { GuestError } from "./guestError.ts";
import type { CommandOptions, CommandResult, TransferOptions } from "./session.ts";

const defaultDeadlineMs = 5 * 60_000;
/** Bytes. Artefacts with debug information have some dozens of megabytes. */
const largestDownload = 512 * 1024 * 1024;

/** See GuestSession.upload. */
export async function uploadFile(
  client: Client,
  localFile: string,
  remoteFile: string,
  mode: number,
  options: TransferOptions,
): Promise<void> {
  const partial = `${remoteFile}.${randomBytes(6).toString("hex")}.part`;
  await withSftp(client, `upload ${localFile} to ${remoteFile}`, options, async (sftp) => {
    try {
      await called((done) => sftp.fastPut(localFile, partial, { mode }, done));
      // The server opens with its umask; the mode asked for is set afterwards.
      await called((done) => sftp.chmod(partial, mode, done));
      // SFTP's own rename refuses an existing target; OpenSSH's extension replaces it in one step.
      await called((done) => sftp.ext_openssh_rename(partial, remoteFile, done));
    } catch (error) {
      await called((done) => sftp.unlink(partial, done)).catch(() => undefined);
      throw error;
    }
  });
}

/** See GuestSession.download. */
export async function downloadFile(
  client: Client,
  remote: string,
  local: string,
  options: TransferOptions,
): Promise<void> {
  await mkdir(dirname(local), { recursive: true });
  const partial = `${local}.${randomBytes(6).toString("hex")}.part`;
  try {
    await withSftp(client, `download ${remote} to ${local}`, options, async (sftp) => {
      const fileSize = await sizeOf(sftp, remote);
      const most = options.most ?? largestDownload;
      if (fileSize > most)
        throw new Error(`it has ${fileSize} bytes, no more than ${most} are taken`);
      // Asked without a size, SFTP's client would ask the guest for it once more.
      if (fileSize === 0) await writeFile(partial, "");
      else await called((done) => sftp.fastGet(remote, partial, { fileSize }, done));
    });
    await rename(partial, local);
  } finally {
    await rm(partial, { force: true });
  }
}

/** Runs a command in the guest, over whatever connection there is. */
export type RunInGuest = (
  argv: readonly string[],
  options: CommandOptions,
) => Promise<CommandResult>;

/** See GuestSession.uploadFolder: one tar stream, because SFTP asks for each file on its own. */
export async function uploadTree(
  run: RunInGuest,
  local: string,
  remote: string,
  options: TransferOptions,
): Promise<void> {
  const what = `upload the folder ${local} to ${remote}`;
  const found = await stat(local).catch(() => undefined);
  if (found?.isDirectory() !== true) {
    throw new GuestError("transfer", `can't ${what}: ${local} is not a folder`);
  }
  const pack = execa("tar", ["--create", "--file=-", `--directory=${local}`, "."], {
    encoding: "buffer",
    buffer: { stdout: false },
    reject: false,
  });
  // execa throws away what nobody reads, and the guest's tar takes a while to start.
  const archive = pack.stdout.pipe(new PassThrough());
  const script = 'mkdir -p -- "$1" && exec tar --extract --file=- --no-same-owner --directory="$1"';
  try {
    const result = await run(["sh", "-c", script, "sh", remote], {
      deadlineMs: options.deadlineMs ?? defaultDeadlineMs,
      stdin: archive,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    if (result.exitCode !== 0) {
      throw new GuestError(
        "transfer",
        `can't ${what}: the guest's tar says: ${result.stderr.trim()}`,
      );
    }
    const packed = await pack;
    if (packed.exitCode !== 0) {
      const said = Buffer.from(packed.stderr).toString("utf8").trim();
      throw new GuestError("transfer", `can't ${what}: tar says: ${said}`);
    }
  } finally {
    // See crashWatch.ts: never one that did not start.
    if (pack.pid !== undefined) pack.kill();
  }
}

/** One SFTP channel for one transfer, with the deadline, the abort signal and errors that name it. */
async function withSftp(
  client: Client,
  what: string,
  options: TransferOptions,
  work: (sftp: SFTPWrapper) => Promise<void>,
): Promise<void> {
  const deadlineMs = options.deadlineMs ?? defaultDeadlineMs;
  let giveUp: (error: GuestError) => void = () => undefined;
  const given = new Promise<never>((_resolve, reject) => {
    giveUp = reject;
  });
  const timer = setTimeout(
    () => giveUp(new GuestError("deadline", `could not ${what} within ${deadlineMs / 1000} s`)),
    deadlineMs,
  );
  const lost = (): void => giveUp(new GuestError("lost", `the connection was lost: ${what}`));
  const abort = (): void => giveUp(new GuestError("cancelled", `cancelled: ${what}`));
  client.once("close", lost);
  options.signal?.addEventListener("abort", abort, { once: true });
  if (options.signal?.aborted === true) abort();

  let channel: SFTPWrapper | undefined;
  const transfer = async (): Promise<void> => {
    channel = await new Promise<SFTPWrapper>((resolve, reject) => {
      client.sftp((error, sftp) => (error === undefined ? resolve(sftp) : reject(error)));
    });
    await work(channel);
  };
  try {
    await Promise.race([transfer(), given]);
  } catch (error) {
    if (error instanceof GuestError) throw error;
    const cause = error as Error;
    throw new GuestError("transfer", `can't ${what}: ${cause.message}`, undefined, { cause });
  } finally {
    clearTimeout(timer);
    client.off("close", lost);
    options.signal?.removeEventListener("abort", abort);
    channel?.end();
  }
}

function sizeOf(sftp: SFTPWrapper, remote: string): Promise<number> {
  return new Promise((resolve, reject) => {
    sftp.stat(remote, (error, stats) => (error ? reject(error) : resolve(stats.size)));
  });
}

function called(start: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error ? reject(error) : resolve()));
  });
}
