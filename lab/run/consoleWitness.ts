/** Looks at a guest from outside: its console file and libvirt's idea of its state. */
import { dirname } from "node:path";
import { consoleMark, consoleSince } from "../console/consoleTail.ts";
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
  const start = await consoleMark(consoleFile);
  return {
    consoleSinceStart: () => consoleSince(consoleFile, start, mostConsole),
    async *consoleText(signal) {
      for await (const event of followConsole(consoleFile, signal, start.size))
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
