/**
 * The commands of a build, the same on the host and in the guest, and what a failing one means.
 */
import { join } from "node:path/posix";
import { saysDiskFull } from "../config/diskSpace.ts";
import { dkmsCommand } from "./dkms.ts";
import { ExitCode, LabError } from "../config/errors.ts";
import type { Manifest } from "../config/manifest.ts";
import { firstError } from "./firstError.ts";

/**
 * Where the tree is while it is built, on the host (in the sandbox) and in the guest alike: the path
 * is in debug information, so both make the same files.
 */
export const buildMount = "/mnt/vexlab-build";

/** HOME of the build's commands, empty at the start. */
export const buildHome = "/tmp/vexlab-home";

export interface BuildStep {
  /** Named in progress and errors: `module` or the tool's name. */
  readonly name: string;
  /** Working folder, absolute where the build runs. */
  readonly folder: string;
  readonly argv: readonly string[];
  /** What the command is called in errors; the first word of argv when undefined. */
  readonly program?: string;
  /**
   * Whether a command that fails takes back what it left half-written: Kbuild has .DELETE_ON_ERROR
   * (scripts/Kbuild.include), and cargo records what is finished. Of other commands nothing is known.
   */
  readonly failsCleanly: boolean;
}

/**
 * The environment of every build command: nothing of the user's, and cargo without network.
 */
export const buildEnvironment: Readonly<Record<string, string>> = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: buildHome,
  TMPDIR: "/tmp",
  LANG: "C.UTF-8",
  CARGO_HOME: `${buildHome}/.cargo`,
  CARGO_NET_OFFLINE: "true",
  CARGO_TERM_COLOR: "never",
  // rustc's incremental state divides the code differently: the same sources would give another
  // program than a clean build does.
  CARGO_INCREMENTAL: "0",
};

/**
 * The module by Kbuild (Documentation/kbuild/modules.rst) or as its dkms.conf has it, then each tool by
 * its own command.
 */
export function buildSteps(manifest: Manifest, kernelRelease: string, jobs: number): BuildStep[] {
  const { module, tools } = manifest;
  const headers = `/lib/modules/${kernelRelease}/build`;
  const folder = join(buildMount, module.folder);
  const kbuild: BuildStep = {
    name: "module",
    folder,
    argv: ["make", "-C", headers, `M=${folder}`, `-j${jobs}`, ...module.make, "modules"],
    failsCleanly: true,
  };
  const dkms = (conf: string): BuildStep => ({
    name: "module",
    folder,
    argv: dkmsCommand("build", conf, kernelRelease, jobs),
    program: conf,
    failsCleanly: false,
  });
  return [
    module.dkms === undefined ? kbuild : dkms(module.dkms),
    ...tools.map(({ name, folder, command }) => ({
      name,
      folder: join(buildMount, folder),
      argv: command,
      failsCleanly: command[0] === "cargo",
    })),
  ];
}

/** How a build command ended that wasn't stopped by us. */
export interface StepEnd {
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** What it printed, or the end of it. */
  readonly output: string;
}

/** A build command ended with an error. */
export class StepFailed extends LabError {
  /** Whether every file that is there now is whole, so that the next build can go on from here. */
  readonly leavesWholeFiles: boolean;
  /** It says that the disk is full: nobody knows whether the sources can be built. */
  readonly wantsSpace: boolean;

  constructor(message: string, step: BuildStep, { exitCode, output }: StepEnd) {
    super(message, ExitCode.buildFailed);
    this.wantsSpace = saysDiskFull(output);
    // From 128 on it is a signal's number: the command was killed, perhaps for want of memory.
    const ended = exitCode !== null && exitCode < 128;
    this.leavesWholeFiles = step.failsCleanly && ended && !this.wantsSpace;
  }
}

/** The error of a failing step: its name, its status, the compiler's first complaint. */
export function stepFailed(step: BuildStep, end: StepEnd): StepFailed {
  const how =
    end.exitCode === null
      ? `was ended by ${end.signal ?? "a signal"}`
      : `failed with exit status ${end.exitCode}`;
  const complaint = firstError(end.output, `${buildMount}/`);
  return new StepFailed(
    `build of ${step.name}: ${step.program ?? step.argv[0] ?? ""} ${how}${complaint === undefined ? "" : `\n  ${complaint}`}`,
    step,
    end,
  );
}
