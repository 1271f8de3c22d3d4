/**
 * Building on the host, in the image's own root file system by bubblewrap: the guest's compiler and
 * headers at the host's speed, without network, without anything of the user's but the copy.
 */
import { execa } from "execa";
import { availableParallelism, getPriority } from "node:os";
import { formatDuration } from "../config/quantity.ts";
import { ExitCode, LabError } from "../config/errors.ts";
import { cancelled, runSteps, type Builder, type BuildJob } from "./builder.ts";
import { listFiles } from "./copy.ts";
import { OutputTail } from "./outputTail.ts";
import {
  buildEnvironment,
  buildHome,
  buildMount,
  buildSteps,
  stepFailed,
  type BuildStep,
} from "./steps.ts";

/** Builds in a sysroot (see lab/image) of the host; the default deadline is 10 minutes. */
export function hostBuilder(sysroot: string, deadlineMs = 10 * 60_000): Builder {
  return {
    on: "host",
    sysroot,
    deadlineMs,
    async build(job) {
      const deadline = AbortSignal.timeout(deadlineMs);
      const steps = buildSteps(job.manifest, job.kernelRelease, availableParallelism());
      await runSteps(steps, job, (step) => runStep(sysroot, step, job, deadline, deadlineMs));
      return listFiles(job.folder);
    },
  };
}

/*
 * The kernel compares the priorities of processes of one session only; sessions share the processors as
 * /proc/PID/autogroup says (sched(7)), where there is such a file. The shell is the sysroot's.
 */
const withPriority = 'echo "$0" 2>/dev/null >/proc/self/autogroup; exec "$@"';

/**
 * bubblewrap's arguments for a command in the sysroot (bwrap(1)).
 * @param nice the priority (nice(2)) that the command is started with
 */
export function sandboxArguments(
  sysroot: string,
  copy: string,
  step: BuildStep,
  nice = getPriority(),
): string[] {
  return [
    ...["--ro-bind", sysroot, "/"],
    ...["--dev", "/dev", "--proc", "/proc"],
    // The mount point is made on a tmpfs: the sysroot is read-only and need not have it.
    ...["--tmpfs", "/tmp", "--dir", buildHome, "--tmpfs", "/mnt", "--bind", copy, buildMount],
    // No network, no processes, no IPC, no host name of the host's. A session of its own: a terminal
    // of the user's cannot be written to (TIOCSTI), and its Ctrl-C reaches only us, who then end it.
    ...["--unshare-all", "--hostname", "vexlab-build", "--new-session", "--die-with-parent"],
    "--clearenv",
    ...Object.entries(buildEnvironment).flatMap(([name, value]) => ["--setenv", name, value]),
    ...["--chdir", step.folder, "--"],
    ...(nice > 0 ? ["/bin/sh", "-c", withPriority, String(nice)] : []),
    ...step.argv,
  ];
}

async function runStep(
  sysroot: string,
  step: BuildStep,
  job: BuildJob,
  deadline: AbortSignal,
  deadlineMs: number,
): Promise<void> {
  const output = new OutputTail(job.onOutput);
  const stop = job.signal === undefined ? deadline : AbortSignal.any([deadline, job.signal]);
  const sandbox = execa("bwrap", sandboxArguments(sysroot, job.folder, step), {
    stdin: "ignore",
    all: true,
    buffer: false,
    reject: false,
    encoding: "utf8",
    // Killing bubblewrap ends every process in it: they share its PID namespace and die with it.
    cancelSignal: stop,
    killSignal: "SIGKILL",
  });
  sandbox.all.setEncoding("utf8").on("data", (text: string) => output.add(text));
  const result = await sandbox;
  if (job.signal?.aborted === true) {
    throw cancelled(step);
  }
  if (deadline.aborted) {
    throw new LabError(
      `build of ${step.name} did not end within ${formatDuration(deadlineMs)} and was stopped`,
      ExitCode.hung,
    );
  }
  if (result.exitCode === 0) return;
  const ended = { exitCode: result.exitCode ?? null, signal: result.signal ?? null };
  if (ended.signal === "SIGINT" || ended.signal === "SIGTERM") {
    throw cancelled(step);
  }
  if (result.exitCode === undefined && result.signal === undefined) {
    throw sandboxUnusable(result.shortMessage ?? "it could not be started");
  }
  const complaint = /^bwrap: (?!execvp)(.*)$/m.exec(output.text)?.[1];
  if (ended.exitCode === 1 && complaint !== undefined && output.lines === 1) {
    throw sandboxUnusable(complaint);
  }
  throw stepFailed(step, { ...ended, output: output.text });
}

function sandboxUnusable(problem: string): LabError {
  return new LabError(
    `bubblewrap, in which the module is built, does not work here: ${problem}`,
    ExitCode.infrastructureFailed,
    "Install the package bubblewrap and allow user namespaces, or set vexlab:buildOn to guest.",
  );
}
