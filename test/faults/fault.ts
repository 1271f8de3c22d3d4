/** What a fault of the catalogue is. */
import type { VerdictKind } from "../../lab/run/verdict.ts";

/** What has to be told of a fault. */
export interface Expected {
  /** Several where it is luck which of them is true; each is right then. */
  readonly verdict: VerdictKind | readonly VerdictKind[];
  /** Fits the report's reason. */
  readonly reason: RegExp;
}

/** What is done on the host. */
export type HostAction =
  | "kill QEMU"
  | "stop QEMU"
  | "remove the console file"
  | "interrupt vexlab"
  | "restart libvirtd"
  | "kill libvirtd"
  | "unplug the network"
  | "take the port";

export interface Fault extends Expected {
  /** Names the fault and its suite. */
  readonly name: string;
  /** Where it is made. */
  readonly kind: "kernel" | "test" | "host";
  /** How it is made, for a person. */
  readonly what: string;
  /** The suite's program and its words, in test/faults. */
  readonly command: readonly string[];
  /** Seconds within which `vexlab test` has to have told it, on a quiet host without KVM. */
  readonly within: number;
  /** Why that is right, where it is not plain. */
  readonly why?: string;
  /** By the kernel's version, or `debug` for that of the stack, where it is told otherwise. */
  readonly on?: Readonly<Record<string, Expected>>;
  /** Seconds between two results, and for the suite; the manifest's defaults otherwise. */
  readonly caseTimeout?: number;
  readonly timeout?: number;
  /** vexlab loads the module before the suite; with these parameters. */
  readonly load?: Readonly<Record<string, string>>;
  /** Before the run, or while the suite runs. */
  readonly before?: HostAction;
  readonly host?: HostAction;
  /** In the stack's own guest, over SSH, instead of a fork. */
  readonly ownGuest?: boolean;
  /** The guest's memory is kept, and this fits what gdb finds in it (`kernel-stack`). */
  readonly inMemory?: RegExp;
  /** Fits the reason for which the suite ran once more. */
  readonly retried?: RegExp;
}

/** What has to be told on Debian's kernels that have UBSAN: it notices more, and vexlab is more patient. */
export const onUbsan = (expected: Expected): Readonly<Record<string, Expected>> => ({
  "7.2": expected,
  "7.3": expected,
});

/** What is right on a kernel. */
export function expectedOn(fault: Fault, kernel: string): Expected {
  return fault.on?.[kernel] ?? fault;
}

export function verdictsOf({ verdict }: Expected): readonly VerdictKind[] {
  return typeof verdict === "string" ? [verdict] : verdict;
}
