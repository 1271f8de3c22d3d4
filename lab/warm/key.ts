/** What a saved guest depends on. Two guests with the same key may come from the same state. */
import { createHash } from "node:crypto";
import type { CloudInitDocuments } from "../guest/cloudInit.ts";

export interface WarmKeyParts {
  /** See topologyOf: devices and their addresses, memory, processors, machine, command line. */
  readonly topology: string;
  /** Stands for the kernel, the initrd and everything on the root disk. */
  readonly imageId: string;
  /** Sizes that the guest sees, in bytes. */
  readonly rootBytes: number;
  readonly testBytes: number;
  /** How the guest is customised; without what identifies one. */
  readonly documents: CloudInitDocuments;
  /** What `qemu-system-… --version` prints, and when the program was last changed. */
  readonly emulator: string;
  /** What `virsh version` prints. */
  readonly libvirt: string;
  /** What is done in the guest before it is saved. */
  readonly preparation: string;
}

/** Raised when saving or resuming changes so that older states are of no use. */
const format = 1;

/** The key: 16 hexadecimal digits. */
export function warmKey(parts: WarmKeyParts): string {
  const text = JSON.stringify([format, parts.topology, parts.imageId, parts]);
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
