/** What a run of Pulumi on a stack has come to, which Pulumi's own exit code doesn't tell. */
import { ExitCode } from "../lab/config/errors.ts";
import type { LastVerdict } from "../lab/run/lastVerdict.ts";
import type { RunEnd } from "./engine.ts";

export interface Outcome {
  readonly exitCode: number;
  /** Why it isn't 0, if Pulumi didn't tell the user already. */
  readonly reason?: string;
  /** Pulumi was killed, and has left its lock. */
  readonly killed?: true;
  /** It failed because the libvirt provider hung, which may not happen again. */
  readonly stalled?: true;
  readonly verdict?: LastVerdict;
}

/**
 * The code to exit with: what the program or the test run left behind says more than Pulumi's code.
 *
 * @param verdict the stack's verdict, if it was reached during this run
 * @param stalled what the libvirt provider did not end in time (providerWatch.ts)
 */
export function outcomeOf(
  end: RunEnd,
  fault: { readonly exitCode: number; readonly message: string } | undefined,
  verdict: LastVerdict | undefined,
  stalled?: string,
): Outcome {
  const known = verdict ? { verdict } : {};
  if (end.cancelled) return { exitCode: ExitCode.cancelled, reason: "cancelled", ...known };
  // With `vexlab:onFailure: report`, a failed test is not a failed run.
  if (end.exitCode === 0) return { exitCode: ExitCode.passed, ...known };
  if (fault) return { exitCode: fault.exitCode, ...known };
  if (verdict && verdict.exitCode !== ExitCode.passed)
    return { exitCode: verdict.exitCode, reason: verdict.reason, ...known };
  const exitCode = ExitCode.infrastructureFailed;
  if (stalled !== undefined) return { exitCode, reason: stalled, stalled: true, ...known };
  if (end.exitCode === null)
    return { exitCode, reason: "pulumi was killed", killed: true, ...known };
  return { exitCode, reason: `pulumi ended with ${end.exitCode}`, ...known };
}
