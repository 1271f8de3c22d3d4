/** Looks at a guest from outside: its console file and libvirt's idea of its state. */
import { open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { followConsole } from "../console/follow.ts";
import { connectionUri } from "../hypervisor/connection.ts";
import { pressSysrq } from "../hypervisor/sysrq.ts";
import { virsh } from "../hypervisor/virsh.ts";
import type { DomainState, GuestWitness } from "./guest.ts";
import { whyPaused } from "./pausedGuest.ts";

/** Bytes of the console that are looked at, from its end; a crash report is a few kilobytes. */
const mostConsole = 1024 * 1024;

/** A witness whose "since start" begins now. */
export async function consoleWitness(
  consoleFile: string,
  domain: string,
  libvirtUri: string,
): Promise<GuestWitness> {
  const start = await sizeOf(consoleFile);
  return {
    async consoleSinceStart() {
      const size = await sizeOf(consoleFile);
      // A smaller file is a new console: the guest was started again.
      const from = Math.max(size < start ? 0 : start, size - mostConsole);
      if (size === from) return "";
      const file = await open(consoleFile);
      try {
        const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, null, from);
        return buffer.toString("utf8", 0, bytesRead);
      } finally {
        await file.close();
      }
    },
    async *consoleText(signal) {
      for await (const event of followConsole(consoleFile, signal, start))
        if (event.kind === "text") yield event.text;
    },
    async domainState() {
      try {
        const text = await virsh(connectionUri(libvirtUri), ["domstate", domain]);
        return parseDomainState(text);
      } catch {
        return "unknown";
      }
    },
    whyPaused: () => whyPaused(connectionUri(libvirtUri), domain, dirname(consoleFile)),
    pressSysrq: (letter) => pressSysrq(connectionUri(libvirtUri), domain, letter),
  };
}

/** What `virsh domstate` prints; virDomainState in libvirt-domain.h, as worded by virsh(1). */
export function parseDomainState(text: string): DomainState {
  switch (text.trim()) {
    case "running":
    case "idle":
      return "running";
    case "crashed":
      return "crashed";
    case "shut off":
    case "in shutdown":
      return "stopped";
    default:
      return "unknown";
  }
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
    throw error;
  }
}
