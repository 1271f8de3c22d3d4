/**
 * What a killed run of Pulumi leaves in a stack's state: operations that were begun and of which
 * Pulumi doesn't know whether they happened. What was being created may exist in libvirt under a
 * name that the next run needs, so it is removed there before the state forgets it.
 */
import * as z from "zod";

const operation = z.looseObject({
  type: z.string(),
  resource: z.looseObject({
    urn: z.string(),
    type: z.string(),
    inputs: z.record(z.string(), z.unknown()).optional(),
  }),
});
export type PendingOperation = z.infer<typeof operation>;

const exported = z.looseObject({
  deployment: z.looseObject({ pending_operations: z.array(operation).nullish() }),
});

/**
 * Splits what `pulumi stack export` printed into the operations that are pending and the same state
 * without them, for `pulumi stack import`.
 */
export function splitPending(text: string): {
  readonly pending: readonly PendingOperation[];
  readonly cleared: string;
} {
  const state = exported.parse(JSON.parse(text));
  const { pending_operations: pending, ...deployment } = state.deployment;
  return { pending: pending ?? [], cleared: JSON.stringify({ ...state, deployment }) };
}

/**
 * The virsh commands that remove what an operation may have created; none for other operations and
 * resources. Each may fail because there is nothing to remove.
 */
export function removalOf({ type, resource }: PendingOperation): readonly (readonly string[])[] {
  const { name, pool } = resource.inputs ?? {};
  if (type !== "creating" || typeof name !== "string") return [];
  switch (resource.type) {
    case "libvirt:index/domain:Domain":
      return [
        ["destroy", "--domain", name],
        ["undefine", "--domain", name, "--snapshots-metadata"],
      ];
    case "libvirt:index/pool:Pool":
      return [
        ["pool-destroy", "--pool", name],
        ["pool-undefine", "--pool", name],
      ];
    case "libvirt:index/volume:Volume":
      return typeof pool === "string" ? [["vol-delete", "--pool", pool, "--vol", name]] : [];
    default:
      return [];
  }
}
