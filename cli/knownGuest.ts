/** The guest of a stack that is up, from what its last start left on record. */
import { join } from "node:path";
import { ExitCode, LabError } from "../lab/config/errors.ts";
import { stackFolder } from "../lab/config/places.ts";
import { readGuestRecord } from "../lab/guest/record.ts";
import { connectionUri, usesPrivateDaemon } from "../lab/hypervisor/connection.ts";
import { startDaemon } from "../lab/hypervisor/daemon.ts";
import type { GuestPlace } from "../lab/run/readyGuest.ts";
import type { StackGuest } from "../lab/warm/stackGuest.ts";

/** Milliseconds for a boot, when the guest has to be started. */
export const bootMs = 10 * 60_000;

/** The guest as a test run knows it. @throws LabError (exit 2) when it has never been ready */
export async function knownGuest(stack: string): Promise<GuestPlace & StackGuest> {
  const folder = stackFolder(stack);
  const record = await readGuestRecord(folder);
  if (record === undefined)
    throw new LabError(
      `the guest of stack ${stack} has never been ready: nothing is known of it`,
      ExitCode.usage,
      `Make it first: npm run up -- ${stack}`,
    );
  const { domain, libvirtUri, sshPort, user } = record;
  if (libvirtUri.startsWith("qemu:///session") || usesPrivateDaemon(libvirtUri))
    await startDaemon();
  return {
    stackFolder: folder,
    address: {
      host: "127.0.0.1",
      port: sshPort,
      user,
      privateKeyFile: join(folder, "id_ed25519"),
      knownHostsFile: join(folder, "known_hosts"),
    },
    user,
    consoleFile: join(folder, "console.log"),
    domain,
    libvirtUri: connectionUri(libvirtUri),
    bootMs,
  };
}
