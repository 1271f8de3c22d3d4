/**
 * The file in which Pulumi keeps a stack, as far as it is read here.
 *
 * `pulumi stack import` writes `Latest` where everything else writes `latest`
 * (MarshalUntypedDeploymentToVersionedCheckpoint in pkg/resource/stack/checkpoint.go of pulumi); to Go's
 * reader of JSON both are the same.
 */
export interface LatestState {
  readonly resources?: readonly { readonly type: string; readonly id?: string }[] | null;
  readonly pending_operations?: readonly unknown[] | null;
}

interface StateFile {
  readonly checkpoint?: {
    readonly latest?: LatestState | null;
    readonly Latest?: LatestState | null;
  };
}

/** What the file says of the stack; nothing of one that was never brought up, or has no file. */
export function latestState(text: string | undefined): LatestState {
  const { checkpoint } = JSON.parse(text ?? "{}") as StateFile;
  return checkpoint?.latest ?? checkpoint?.Latest ?? {};
}
