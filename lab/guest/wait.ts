/**
 * Waiting for a guest: its kernel has booted, cloud-init has finished, SSH works, the share is there.
 *
 * The boot is followed on the serial console instead of asking SSH again and again: each attempt
 * would cost an emulated guest seconds, and the console also says why a guest does not get ready.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { ExitCode, LabError } from "../config/errors.ts";
import type { NotReady } from "../console/notReady.ts";
import type { Progress } from "../report/progress.ts";
import { booted, type BootEdges, type BootRequest } from "./boot.ts";
import { guestFacts, type GuestFacts } from "./facts.ts";
import { GuestError } from "./guestError.ts";
import { fingerprint, pinHostKeys, type HostKey } from "./knownHosts.ts";
import { guestRecordFile, readGuestRecord, writeGuestRecord } from "./record.ts";
import { GuestSession, type GuestAddress } from "./session.ts";

/** A guest that is made anew has another UUID. */
export interface WaitRequest extends BootRequest {
  readonly stackFolder: string;
  readonly address: GuestAddress;
}

export interface GuestReady {
  readonly ready: true;
  /** `ssh-ed25519 AAAA…` */
  readonly hostKey: string;
  readonly kernelRelease: string;
  readonly bootSeconds: number;
  readonly cloudInit: {
    readonly status: "done" | "degraded";
    readonly warnings: readonly string[];
  };
}

/** One attempt to connect; an emulated handshake takes 1-3 s. */
const connectMs = 30_000;
const betweenAttemptsMs = 500;
const factsMs = 60_000;
/**
 * Waits until the guest is ready, pins its host key on the way and records it.
 * @throws LabError hung when the deadline passes; infrastructureFailed when the guest can't get ready,
 * cloud-init failed, or the host key changed while the domain is the same. The message holds the
 * console's explanation.
 */
export async function waitForGuest(
  request: WaitRequest,
  progress: Progress,
  edges?: BootEdges,
): Promise<GuestReady> {
  const began = performance.now();
  const remaining = (): number => Math.max(0, request.deadlineMs - (performance.now() - began));
  const stop = new AbortController();
  const deadline = setTimeout(() => stop.abort(), request.deadlineMs);
  try {
    const { hostKey, ready, why } = await booted(request, progress, stop, edges);
    await pin(request, hostKey);
    progress.line("cloud-init has finished");
    const session = await connected(request, remaining);
    let facts: GuestFacts;
    try {
      facts = await guestFacts(session, Math.min(factsMs, remaining() + betweenAttemptsMs));
    } finally {
      session.close();
    }
    check(request, facts, ready.errors, why);
    await writeGuestRecord(request.stackFolder, {
      domain: request.domain,
      libvirtUri: request.libvirtUri,
      sshPort: request.address.port,
      user: request.address.user,
      hostKey: text(hostKey),
    });
    return {
      ready: true,
      hostKey: text(hostKey),
      kernelRelease: facts.kernelRelease,
      bootSeconds: facts.bootSeconds,
      cloudInit: {
        status: facts.cloudInitWarnings.length === 0 ? "done" : "degraded",
        warnings: facts.cloudInitWarnings,
      },
    };
  } finally {
    clearTimeout(deadline);
    stop.abort();
  }
}

async function pin(request: WaitRequest, hostKey: HostKey): Promise<void> {
  const record = await readGuestRecord(request.stackFolder);
  const known = record?.domain === request.domain ? record.hostKey : "";
  if (known !== "" && known !== text(hostKey)) {
    throw new GuestError(
      "host-key-changed",
      `the guest of domain ${request.domain} announces another host key than before: ${fingerprintOf(text(hostKey))}, it was ${fingerprintOf(known)}`,
      `If you had new host keys made in the guest, remove ${guestRecordFile(request.stackFolder)} and wait again; if not, do not trust this guest.`,
    );
  }
  await pinHostKeys(request.address.knownHostsFile, request.address.port, [hostKey]);
}

async function connected(request: WaitRequest, remaining: () => number): Promise<GuestSession> {
  for (;;) {
    const deadlineMs = Math.min(connectMs, Math.max(1000, remaining()));
    try {
      return await GuestSession.connect(request.address, { deadlineMs });
    } catch (error) {
      // sshd may come up a moment after cloud-init, and is restarted by some of its modules.
      const passing =
        error instanceof GuestError &&
        ["refused", "no-banner", "handshake", "deadline"].includes(error.fault);
      if (!passing || remaining() === 0) throw error;
    }
    await sleep(betweenAttemptsMs);
  }
}

function check(
  request: WaitRequest,
  facts: GuestFacts,
  announced: readonly string[],
  why: NotReady,
): void {
  const errors = [...new Set([...announced, ...facts.cloudInitErrors])];
  if (errors.length > 0 && why.kind !== "slow") errors.push(why.reason);
  if (errors.length > 0) {
    throw new LabError(
      `cloud-init finished with errors in the guest:\n${errors.map((line) => `  ${line}`).join("\n")}`,
      ExitCode.infrastructureFailed,
      `Look at /var/log/cloud-init.log in the guest, and at the console: ${request.consoleFile}`,
    );
  }
  if (facts.shareProblem !== undefined) {
    throw new LabError(
      `the source folder is not mounted in the guest: ${facts.shareProblem}`,
      ExitCode.infrastructureFailed,
      "Can QEMU's user read the folder that vexlab:source names?",
    );
  }
}

const text = (key: HostKey): string => `${key.type} ${key.base64}`;
const fingerprintOf = (key: string): string =>
  fingerprint(Buffer.from(key.split(" ")[1] ?? "", "base64"));
