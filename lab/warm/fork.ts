/**
 * Starting a guest from a warm image: fresh overlays on its disks, its memory mapped privately, its
 * devices and processors resumed, and then made somebody: name, keys, clock, random numbers.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { ControlSession, type GuestIdentity } from "../guest/controlSession.ts";
import { makeKeyPair } from "../guest/ed25519.ts";
import { forkXml, type ForkDefinition } from "../hypervisor/forkXml.ts";
import { namingHolder } from "../hypervisor/portHolder.ts";
import { loadState } from "../hypervisor/savedState.ts";
import { powerOff } from "../hypervisor/powerOff.ts";
import { virsh } from "../hypervisor/virsh.ts";
import type { WarmImage } from "./warmImage.ts";

const agentMs = 20_000;
const diskMs = 20_000;

export interface ForkRequest {
  /** The XML of the domain that Pulumi defined. */
  readonly definition: string;
  readonly libvirtUri: string;
  readonly warm: WarmImage;
  readonly fork: Omit<ForkDefinition, "memoryFile" | "role">;
  /** A folder with a short path, for sockets. */
  readonly sockets: string;
}

/** Who the guest of a fork is. */
export interface ForkIdentity {
  readonly user: string;
  readonly hostname: string;
  readonly instanceId: string;
  readonly authorizedKeys: readonly string[];
}

/**
 * Starts the domain and resumes the saved guest in it; nobody yet.
 * @throws LabError; the domain is then gone again.
 */
export async function startFork(request: ForkRequest): Promise<void> {
  const { definition, libvirtUri, warm, fork, sockets } = request;
  const xml = forkXml(definition, { ...fork, memoryFile: warm.memory, role: "fork" });
  const file = join(sockets, `domain-${randomBytes(4).toString("hex")}.xml`);
  await writeFile(file, xml);
  try {
    await virsh(libvirtUri, ["create", file]);
  } catch (error) {
    throw await namingHolder(error);
  } finally {
    await rm(file, { force: true });
  }
  try {
    await loadState(libvirtUri, fork.name, warm.state, sockets);
  } catch (error) {
    await powerOff(libvirtUri, fork.name);
    throw error;
  }
}

/**
 * A new qcow2 disk in the place of another, whole or not at all.
 * @param backing what it lies over (qcow2); undefined: an empty disk
 * @param bytes its size; that of its backing when undefined
 */
export async function overlay(
  backing: string | undefined,
  disk: string,
  bytes?: number,
): Promise<void> {
  await mkdir(dirname(disk), { recursive: true });
  // Not beside the disk: a pool's folder may hold nothing that its pool doesn't know.
  const partial = join(dirname(dirname(disk)), `.${randomBytes(4).toString("hex")}.qcow2`);
  const over = backing === undefined ? [] : ["-F", "qcow2", "-b", backing];
  const size = bytes === undefined ? [] : [String(bytes)];
  const argv = ["create", "-q", "-f", "qcow2", ...over, partial, ...size];
  try {
    await execa("qemu-img", argv, { stdin: "ignore", timeout: diskMs });
    await rename(partial, disk);
  } finally {
    await rm(partial, { force: true });
  }
}

/**
 * Gives a fork its identity.
 * @param options.own whether it is the stack's own guest, which people use: sshd listens
 * @returns the open session, and the guest's host key as known_hosts has it
 * @throws GuestError when the agent doesn't answer
 */
export async function identify(
  socket: string,
  identity: ForkIdentity,
  options: {
    readonly own: boolean;
    readonly mount: GuestIdentity["mount"];
    readonly signal?: AbortSignal | undefined;
  },
): Promise<{
  readonly session: ControlSession;
  readonly hostKey: string;
  readonly problems: readonly string[];
}> {
  const { own, mount, signal } = options;
  const session = await ControlSession.connect(socket, {
    deadlineMs: agentMs,
    user: identity.user,
    ...(signal && { signal }),
  });
  try {
    const hostKey = makeKeyPair(identity.hostname);
    const problems = await session.renewIdentity({
      hostname: identity.hostname,
      machineId: randomUUID().replaceAll("-", ""),
      hostKey: { private: hostKey.privateKey, public: hostKey.publicKey },
      authorizedKey: identity.authorizedKeys.join("\n"),
      instanceId: identity.instanceId,
      mount,
      sshd: own,
    });
    return { session, hostKey: hostKey.publicKey, problems };
  } catch (error) {
    session.close();
    throw error;
  }
}
