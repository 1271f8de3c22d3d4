/** What a run will do in the guest, computed before anything is done there. Pure. */
import { join } from "node:path/posix";
import type { BuildResult } from "../build/result.ts";
import { ExitCode, LabError } from "../config/errors.ts";
import { withToolsFor, type Manifest, type Suite } from "../config/manifest.ts";
import { insmodWords, moduleName, moduleOrder } from "./moduleOrder.ts";
import { patienceFor, type SanitizerName } from "../kernel/sanitizers.ts";
import { notedPath } from "./moduleAddresses.ts";
import { inRandomOrder } from "./order.ts";
import { everything, selectedSuites, selectionEnvironment, type Selection } from "./selection.ts";

export interface PlannedModule {
  /** Path of the .ko in the guest. */
  readonly file: string;
  /** The name in /proc/modules. */
  readonly name: string;
  /** `name=value` words for insmod. */
  readonly parameters: readonly string[];
}

export interface PlannedSuite {
  readonly name: string;
  readonly command: readonly string[];
  /** Longest time between two results. */
  readonly caseTimeoutMs: number;
  readonly timeoutMs: number;
  /** Whether the modules are loaded before the suite and unloaded after it. */
  readonly load: boolean;
}

export interface RunPlan {
  readonly runId: string;
  /** Folder on the host that is copied into the guest. */
  readonly localFolder: string;
  /** Where it goes; the suites' working directory. */
  readonly remoteFolder: string;
  /** The kernel that the modules were built for. */
  readonly kernelRelease: string;
  readonly requires: readonly string[];
  readonly modules: readonly PlannedModule[];
  /** The file system type that the modules register, if they do. */
  readonly filesystemType: string | undefined;
  readonly suites: readonly PlannedSuite[];
  /** Which cases count; suites that can, leave out the others. */
  readonly selection: Selection;
  /** Whether the first case that fails ends the run. */
  readonly stopAtFirst?: true;
  /** By how much longer deadlines are than the manifest has them; 1 by default. */
  readonly patience?: number;
  /** Whether the kernel is asked for lost memory after each suite. */
  readonly looksForLeaks?: true;
  /** What each suite finds in its environment. */
  readonly environment: Readonly<Record<string, string>>;
}

export const remoteRuns = "/var/lib/vexlab/run";
export const testDisk = "/dev/disk/by-id/virtio-vexlab-test";

/** What of the manifest a run is about. */
export interface Scope {
  readonly selection?: Selection;
  /** Decides a random order of suites and cases; the manifest's order when undefined. */
  readonly seed?: number;
  /** Whether the first case that fails ends the run. */
  readonly stopAtFirst?: boolean;
  /** What the guest's kernel looks for by itself. */
  readonly sanitizers?: readonly SanitizerName[];
}

/**
 * The plan of a run.
 * @throws ConfigurationError for patterns that no suite matches; LabError for tools that suites need
 * and the build was made without.
 */
export function planRun(
  runId: string,
  manifest: Manifest,
  build: Pick<BuildResult, "folder" | "kernelRelease" | "artefacts">,
  { selection = everything, seed, stopAtFirst, sanitizers = [] }: Scope = {},
): RunPlan {
  const patience = patienceFor(sanitizers);
  const suites = selectedSuites(manifest, selection);
  checkTools(manifest, suites, build.artefacts);
  const remoteFolder = join(remoteRuns, runId);
  const moduleFolder = join(remoteFolder, manifest.module.folder);
  const { requires, files } = moduleOrder(manifest, build);
  const modules = files.map((file) => ({
    ...insmodWords(moduleFolder, file, manifest.load.parameters[file]),
    name: moduleName(file),
  }));
  return {
    runId,
    localFolder: build.folder,
    remoteFolder,
    kernelRelease: build.kernelRelease,
    requires,
    modules,
    filesystemType: manifest.filesystem?.type,
    suites: (seed === undefined ? suites : inRandomOrder(suites, seed)).map((suite) =>
      planSuite(suite, patience),
    ),
    selection,
    ...(stopAtFirst && { stopAtFirst }),
    ...(patience !== 1 && { patience }),
    ...(sanitizers.includes("kmemleak") && { looksForLeaks: true }),
    environment: {
      VEXLAB_SOURCE: remoteFolder,
      VEXLAB_TEST_DISK: testDisk,
      VEXLAB_MODULES: moduleFolder,
      VEXLAB_LOAD: modules
        .map(({ file, parameters }) => [file, ...parameters].join(" "))
        .join("\n"),
      KERNELRELEASE: build.kernelRelease,
      ...(sanitizers.includes("kmemleak") && { PATH: notedPath }),
      ...selectionEnvironment(selection),
      ...(seed !== undefined && { VEXLAB_SEED: `${seed}` }),
    },
  };
}

const planSuite = (
  { name, command, caseTimeout, timeout, load }: Suite,
  patience: number,
): PlannedSuite => ({
  name,
  command,
  caseTimeoutMs: caseTimeout * patience,
  timeoutMs: timeout * patience,
  load,
});

function checkTools(
  manifest: Manifest,
  suites: readonly Suite[],
  artefacts: BuildResult["artefacts"],
): void {
  const needed = withToolsFor(
    manifest,
    suites.map(({ name }) => name),
  ).tools;
  const built = new Set(artefacts.map(({ path }) => path));
  const missing = needed.filter((tool) =>
    tool.artefacts.some((file) => !built.has(join(tool.folder, file))),
  );
  if (missing.length === 0) return;
  throw new LabError(
    `the build was made without what these suites need: ${missing.map(({ name }) => name).join(", ")}`,
    ExitCode.usage,
    "Build all of it: npm run vexlab -- module build.",
  );
}
