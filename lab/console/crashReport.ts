/** What the kernel's own account of a crash comes to. */
import type { StackFrame } from "./stackFrames.ts";

export const crashKinds = [
  "oops",
  "bug",
  "warning",
  "panic",
  "soft-lockup",
  "hard-lockup",
  "rcu-stall",
  "hung-task",
  "scheduling-while-atomic",
  "sleeping-in-atomic",
  "list-corruption",
  "slab-corruption",
  "bad-page",
  "stack-overflow",
  "out-of-memory",
  "kasan",
  "kfence",
  "kmsan",
  "kcsan",
  "ubsan",
  "lockdep",
  "kmemleak",
  "root-disk-error",
  "reboot",
  "emulator-error",
  /** Nothing was printed, but the kernel says of itself that it is no longer sound. */
  "taint",
] as const;

export type CrashKind = (typeof crashKinds)[number];

export interface CrashReport {
  readonly kind: CrashKind;
  /** Within the kind, such as `null pointer dereference` of an oops; free of addresses and numbers. */
  readonly cause: string;
  /** One line that is the same each time the same bug strikes. */
  readonly title: string;
  /** The function at fault. */
  readonly function?: string;
  /** The module that it is in or, of the kernel's own functions, that called it. */
  readonly module?: string;
  /** The reason of the panic that the crash ended in. */
  readonly panic?: string;
  /** Seconds since the boot when it began, by the kernel's clock. */
  readonly time?: number;
  /** The whole report as the kernel printed it, without times. */
  readonly lines: readonly string[];
  readonly frames: readonly StackFrame[];
}

/** A report that no text of the kernel belongs to. */
export function bareReport(kind: CrashKind, cause: string): CrashReport {
  return { kind, cause, title: cause, lines: [], frames: [] };
}

/** The reports with the first of each title only; what strikes once strikes a thousand times. */
export function distinct<T extends { readonly title: string }>(reports: readonly T[]): T[] {
  const seen = new Set<string>();
  return reports.filter(({ title }) => !seen.has(title) && seen.add(title));
}
