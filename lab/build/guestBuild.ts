/**
 * Building in the guest: the same commands, tree and environment as on the host, for what only runs
 * on the guest's own kernel. Slow under emulation.
 */
import { chmod, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path/posix";
import { ExitCode, LabError } from "../config/errors.ts";
import { formatDuration } from "../config/quantity.ts";
import { kernelReleaseIn } from "../guest/kernelRelease.ts";
import type { CommandOptions, CommandResult, GuestSession } from "../guest/session.ts";
import { wantedArtefacts } from "./artefacts.ts";
import { dkmsRecord } from "./dkms.ts";
import { runSteps, type Builder, type BuildJob } from "./builder.ts";
import { OutputTail } from "./outputTail.ts";
import { buildEnvironment, buildHome, buildMount, buildSteps, stepFailed } from "./steps.ts";

/** The part of a guest session that a build needs. */
export type BuildGuest = Pick<GuestSession, "run" | "uploadFolder" | "download">;

/** The release of the kernel that a guest runs. @throws LabError */
export async function runningKernel(guest: Pick<GuestSession, "run">): Promise<string> {
  const { exitCode, stdout } = await guest.run(["uname", "-r"], { deadlineMs: 30_000 });
  const release = stdout.trim();
  if (exitCode === 0 && release !== "" && kernelReleaseIn(release) === release) return release;
  throw new LabError(
    `the guest does not say which kernel it runs: ${JSON.stringify(release.slice(0, 80))}`,
    ExitCode.infrastructureFailed,
  );
}

/** Builds in a guest as the session's user, who may sudo; the default deadline is 20 minutes. */
export function guestBuilder(guest: BuildGuest, deadlineMs = 20 * 60_000): Builder {
  return {
    on: "guest",
    deadlineMs,
    async build(job) {
      const until = performance.now() + deadlineMs;
      const options = (): CommandOptions => ({
        deadlineMs: Math.max(1, until - performance.now()),
        ...(job.signal === undefined ? {} : { signal: job.signal }),
      });
      const prepare = async (...argv: string[]): Promise<CommandResult> => {
        const result = await guest.run(argv, options());
        if (result.exitCode === 0) return result;
        throw new LabError(
          `the guest cannot prepare the build: ${argv.join(" ")}: ${result.stderr.trim() || `exit status ${String(result.exitCode)}`}`,
          ExitCode.infrastructureFailed,
        );
      };

      await prepare("sudo", "rm", "-rf", buildMount, buildHome);
      const user = (await prepare("id", "-un")).stdout.trim();
      await prepare("sudo", "install", "-d", "-o", user, buildMount, buildHome);
      const jobs = Number((await prepare("nproc")).stdout.trim()) || 1;
      await guest.uploadFolder(job.folder, buildMount, options());
      try {
        await runSteps(buildSteps(job.manifest, job.kernelRelease, jobs), job, async (step) => {
          const output = new OutputTail(job.onOutput);
          const onText = (text: string): void => output.add(text);
          const environment = Object.entries(buildEnvironment).map(([name, to]) => `${name}=${to}`);
          const argv = ["env", "-i", `--chdir=${step.folder}`, ...environment, ...step.argv];
          const result = await guest
            .run(argv, { ...options(), onStdout: onText, onStderr: onText })
            .catch((error: unknown) => {
              throw explained(error, step.name, deadlineMs);
            });
          if (result.exitCode !== 0) throw stepFailed(step, { ...result, output: output.text });
        });
        return await fetchArtefacts(guest, job, prepare, options);
      } finally {
        // The guest's disk is small. A guest that no longer answers has nothing to clean.
        await guest
          .run(["sudo", "rm", "-rf", buildMount, buildHome], { deadlineMs: 30_000 })
          .catch(() => undefined);
      }
    },
  };
}

async function fetchArtefacts(
  guest: BuildGuest,
  job: BuildJob,
  prepare: (...argv: string[]) => Promise<CommandResult>,
  options: () => CommandOptions,
): Promise<string[]> {
  const listing = await prepare("find", buildMount, "-type", "f", "-printf", "%m %P\\n");
  const modes = new Map<string, number>();
  for (const [, mode, path] of listing.stdout.matchAll(/^([0-7]+) (.+)$/gm)) {
    modes.set(path ?? "", Number.parseInt(mode ?? "", 8));
  }
  const fetch = async (path: string): Promise<void> => {
    const mode = modes.get(path);
    if (mode === undefined) return;
    const local = join(job.folder, path);
    await mkdir(dirname(local), { recursive: true });
    await guest.download(join(buildMount, path), local, options());
    await chmod(local, mode & 0o111 ? 0o755 : 0o644);
  };
  const { module } = job.manifest;
  if (module.dkms !== undefined) await fetch(join(module.folder, dkmsRecord));
  for (const path of await wantedArtefacts(job.folder, job.manifest)) await fetch(path);
  return [...modes.keys()].sort();
}

/** The guest's errors don't know what the command was for. */
function explained(error: unknown, step: string, deadlineMs: number): unknown {
  if (!(error instanceof LabError)) return error;
  if (error.exitCode === ExitCode.cancelled) {
    return new LabError(`build of ${step} was cancelled`, error.exitCode, undefined, {
      cause: error,
    });
  }
  if (error.exitCode === ExitCode.hung) {
    return new LabError(
      `build of ${step} in the guest did not end within ${formatDuration(deadlineMs)}`,
      error.exitCode,
      "A build on the host is much faster: vexlab:buildOn host.",
      { cause: error },
    );
  }
  return error;
}
