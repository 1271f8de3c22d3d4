/** What a checkout's stacks take of the host, for tests that look for leaks. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { daemonFolder, places } from "../../lab/config/places.ts";
import { processIds } from "../../lab/hypervisor/processes.ts";
import type { Checkout } from "../e2e/support/checkout.ts";

export interface HostUse {
  /** Open files of the checkout's libvirt daemon. */
  readonly daemonFiles: number;
  /** MiB of memory that the daemon has for itself. */
  readonly daemonMemory: number;
  /** QEMU processes that belong to the checkout. */
  readonly guests: number;
  /** MiB on disk of the checkout's state, and of the daemon's folder. */
  readonly disk: number;
  /** Files in the daemon's folder, sockets included. */
  readonly files: number;
  /** MiB in use on the whole host, all but what it could give away: to be read, not judged. */
  readonly hostMemory: number;
}

export async function hostUse(checkout: Checkout): Promise<HostUse> {
  const run = daemonFolder({ ...places(), state: checkout.path(".vexlab") });
  const pid = await readFile(join(run, "libvirtd.pid"), "utf8").then(
    (text) => text.trim(),
    () => undefined,
  );
  const count = async (folder: string): Promise<number> =>
    readdir(folder, { recursive: true }).then(
      (names) => names.length,
      () => 0,
    );
  return {
    daemonFiles: pid === undefined ? 0 : (await readdir(`/proc/${pid}/fd`)).length,
    daemonMemory: pid === undefined ? 0 : await ownMemory(pid),
    guests: await guestsOf(checkout),
    disk: (await blocks(checkout.path(".vexlab"))) + (await blocks(run)),
    files: await count(run),
    hostMemory: await hostMemory(),
  };
}

/** proc(5), smaps_rollup. */
async function ownMemory(pid: string): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
  const parts = [...text.matchAll(/^Private_(?:Clean|Dirty): +(\d+) kB$/gm)];
  return parts.reduce((sum, [, kilobytes]) => sum + Number(kilobytes), 0) / 1024;
}

async function guestsOf(checkout: Checkout): Promise<number> {
  let guests = 0;
  for (const pid of await processIds()) {
    const argv = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (argv.startsWith("/usr/bin/qemu-system") && argv.includes(checkout.folder)) guests++;
  }
  return guests;
}

async function blocks(folder: string): Promise<number> {
  const { stdout } = await execa("du", ["-s", "-B1", folder], { reject: false });
  return Number(stdout.split("\t")[0] ?? 0) / 2 ** 20;
}

async function hostMemory(): Promise<number> {
  const text = await readFile("/proc/meminfo", "utf8");
  const of = (name: string): number =>
    Number(new RegExp(`^${name}: +(\\d+) kB$`, "m").exec(text)?.[1]) / 1024;
  return of("MemTotal") - of("MemAvailable");
}
