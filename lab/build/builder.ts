/** What builds a tree: the host's sandbox or the guest. Both get the same job. */
import { ExitCode, LabError } from "../config/errors.ts";
import type { Manifest } from "../config/manifest.ts";
import type { BuildStep } from "./steps.ts";

export interface BuildJob {
  /**
   * A copy of the sources on the host, perhaps with what an earlier build of it left. Afterwards it
   * holds at least the artefacts that were made.
   */
  readonly folder: string;
  /** With the tools that are to be built. */
  readonly manifest: Manifest;
  readonly kernelRelease: string;
  /** Called with every piece of output of the build's commands. */
  readonly onOutput: (text: string) => void;
  /** Called when a step begins; the function that it gives is called with how it ended. */
  readonly onStep: (name: string) => (outcome: "done" | "failed") => void;
  readonly signal?: AbortSignal;
}

export interface Builder {
  readonly on: "host" | "guest";
  /** The root file system that the build's commands see, when it is a folder of the host. */
  readonly sysroot?: string;
  /** Milliseconds that a build may take. */
  readonly deadlineMs: number;
  /**
   * Runs the build's commands and gives every file that is there afterwards, relative to the tree.
   * @throws LabError: buildFailed, hung when the deadline passes, cancelled, or infrastructureFailed.
   */
  build(job: BuildJob): Promise<string[]>;
}

/** Runs the steps one after the other, announcing each. */
export async function runSteps(
  steps: readonly BuildStep[],
  job: BuildJob,
  run: (step: BuildStep) => Promise<void>,
): Promise<void> {
  for (const step of steps) {
    if (job.signal?.aborted === true) throw cancelled(step);
    const end = job.onStep(step.name);
    try {
      await run(step);
    } catch (error) {
      end("failed");
      throw error;
    }
    end("done");
  }
}

export function cancelled(step: BuildStep): LabError {
  return new LabError(`build of ${step.name} was cancelled`, ExitCode.cancelled);
}
