/**
 * A guest's memory and registers as an ELF core file, written by QEMU, with the kernel's own addresses, so
 * that a debugger knows them. The guest stands still meanwhile. QEMU is asked by libvirt's own dump: one
 * that it has not begun itself makes libvirtd 9.0 crash when QEMU reports its end.
 */
import { chmod, rename, rm, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { execa } from "execa";
import { freeBytes } from "../config/diskSpace.ts";
import { ExitCode, LabError } from "../config/errors.ts";
import { writeThrough } from "../report/wholeFile.ts";
import { monitor } from "./monitor.ts";
import { addVirtualAddresses } from "./virtualCore.ts";

/** What the rest of the host may need meanwhile. */
const spareBytes = 256 * 2 ** 20;

/**
 * Writes the dump; the file has its name when it is whole and on the disk.
 * @returns how many bytes it takes on the disk: pages of zeros take none
 * @throws LabError when there is no room, or QEMU can't, or not in time; nothing is left then. QEMU
 * itself can't be told to stop: of a guest that lives on, it writes to the end.
 */
export async function dumpMemory(
  uri: string,
  domain: string,
  file: string,
  deadlineMs: number,
  signal?: AbortSignal,
): Promise<number> {
  const until = performance.now() + deadlineMs;
  const partial = `${file}.partial`;
  await checkRoom(uri, domain, file);
  try {
    await write(uri, domain, partial, deadlineMs, signal);
    await chmod(partial, 0o600);
    await withVirtualAddresses(partial);
    await digHoles(partial, until, signal);
    await writeThrough(partial);
    await rename(partial, file);
  } finally {
    await rm(partial, { force: true });
  }
  return (await stat(file)).blocks * 512;
}

async function checkRoom(uri: string, domain: string, file: string): Promise<void> {
  const summary = await monitor(uri, domain, "query-memory-size-summary");
  const needed = Number((summary as Record<string, unknown>)["base-memory"]);
  const free = await freeBytes(dirname(file));
  if (free >= needed + spareBytes) return;
  const mib = (bytes: number): string => `${Math.floor(bytes / 2 ** 20)} MiB`;
  throw fault(
    `${dirname(file)} has ${mib(free)} free, the memory of ${domain} is ${mib(needed)} and ${mib(spareBytes)} have to stay free`,
  );
}

async function write(
  uri: string,
  domain: string,
  file: string,
  deadlineMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const argv = ["--quiet", "--connect", uri, "dump", "--memory-only", "--format", "elf"];
  const { exitCode, timedOut, stderr } = await execa("virsh", [...argv, domain, file], {
    ...{ env: { LC_ALL: "C" }, stdin: "ignore", timeout: deadlineMs, reject: false },
    ...(signal && { cancelSignal: signal }),
  });
  signal?.throwIfAborted();
  if (exitCode === 0) return;
  const why = timedOut ? `not finished within ${deadlineMs / 1000} s` : stderr.trim();
  throw fault(`the memory of ${domain} can't be written: ${why}`);
}

async function withVirtualAddresses(file: string): Promise<void> {
  try {
    await addVirtualAddresses(file);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw fault(`the kernel's addresses can't be found: ${error.message}`);
  }
}

/** QEMU writes pages of zeros, too. */
async function digHoles(file: string, until: number, signal?: AbortSignal): Promise<void> {
  const timeout = Math.max(1, until - performance.now());
  const { timedOut } = await execa("fallocate", ["--dig-holes", file], {
    ...{ stdin: "ignore", timeout, reject: false, ...(signal && { cancelSignal: signal }) },
  });
  signal?.throwIfAborted();
  // A file system without holes keeps the file as it is.
  if (timedOut) throw fault(`${basename(file)} could not be made smaller in time`);
}

function fault(message: string): LabError {
  return new LabError(message, ExitCode.infrastructureFailed);
}
