/** One turn of the edit → verdict loop, for `test` and `watch`. */
import picocolors from "picocolors";
import { buildModule } from "../lab/build/build.ts";
import { guestBuilder, runningKernel } from "../lab/build/guestBuild.ts";
import { hostBuilder } from "../lab/build/hostBuild.ts";
import { resultsFolder } from "../lab/build/results.ts";
import type { BuildResult } from "../lab/build/result.ts";
import { readManifest, type Manifest } from "../lab/config/manifest.ts";
import { places } from "../lab/config/places.ts";
import { thisHost } from "../lab/config/thisHost.ts";
import { readStackFile } from "../lab/config/stackFiles.ts";
import { parseStackConfig, type StackConfig } from "../lab/config/stack.ts";
import { GuestSession } from "../lab/guest/session.ts";
import { jsonText } from "../lab/report/json.ts";
import { Phases } from "../lab/report/phases.ts";
import { formatDuration, type Progress } from "../lab/report/progress.ts";
import { renderTable } from "../lab/report/table.ts";
import { forkedGuest, ownGuest } from "../lab/run/openGuest.ts";
import { repeatRun, type Repetitions } from "../lab/run/repeatRun.ts";
import { everything, selectedSuites, type Selection } from "../lab/run/selection.ts";
import type { RunReport } from "../lab/run/verdict.ts";
import { NextFork } from "../lab/warm/nextFork.ts";
import { forkBase, type ForkBase } from "../lab/warm/sibling.ts";
import { builtImage } from "../lab/image/image.ts";
import { imageOf, type StackGuest } from "../lab/warm/stackGuest.ts";
import { knownGuest } from "./knownGuest.ts";

export interface TestInput {
  readonly stack: string;
  /** Absolute path of another source folder than the stack's. */
  readonly source?: string;
  /** Which suites and cases; all when undefined. */
  readonly selection?: Selection;
  /** Decides a random order. */
  readonly seed?: number;
  /** Whether the first case that fails ends the run. */
  readonly stopAtFirst?: boolean;
  /** Once when undefined. */
  readonly repetitions?: Repetitions;
  readonly jobs: number;
  /** Whether the memory of a guest that crashed or hung is kept. */
  readonly dumpMemory?: boolean;
  /** Suites that run before the others. */
  readonly first?: readonly string[];
}

const connectMs = 60_000;
const once: Repetitions = { most: 1, untilFail: false };

/**
 * Builds what the sources are now and tests it in forks of the stack's guest.
 * @param forks keeps a fork for the caller's next turn; without it none is left
 * @throws LabError when it can't be built; ConfigurationError for suites that don't exist
 */
export async function testOnce(
  input: TestInput,
  progress: Progress,
  signal: AbortSignal,
  forks?: NextFork,
): Promise<RunReport> {
  const used = forks ?? new NextFork();
  try {
    const { report, base } = await turn(input, progress, signal, used);
    if (base !== undefined) forks?.begin(base);
    return report;
  } finally {
    if (forks === undefined) await used.close();
  }
}

async function turn(
  input: TestInput,
  progress: Progress,
  signal: AbortSignal,
  forks: NextFork,
): Promise<{ readonly report: RunReport; readonly base: ForkBase | undefined }> {
  const { stack, selection, seed, stopAtFirst = false, jobs, dumpMemory = false } = input;
  const { first = [], repetitions = once } = input;
  const [ofStack, guest] = await Promise.all([stackConfig(stack), knownGuest(stack)]);
  const config = input.source === undefined ? ofStack : { ...ofStack, source: input.source };
  const phases = new Phases();
  const unwanted = new AbortController();
  const wanted = AbortSignal.any([signal, unwanted.signal]);
  const own = ownGuest(guest);
  const base =
    config.warm === "auto"
      ? forkBase(guest, resultsFolder(stack, places()), progress, wanted)
      : undefined;
  // The guest starts while the module is built.
  base?.then(
    (from) => forks.begin(from),
    () => undefined,
  );
  const source = base === undefined ? own : forkedGuest(base, own, forks);
  let build: BuildResult;
  let manifest: Manifest;
  try {
    build = await phases.time("build", () =>
      buildFor(stack, config, guest, selection, progress, signal),
    );
    manifest = await readManifest(build.folder);
  } catch (error) {
    // Else the process would end while a guest is being saved, which then ran on for nobody.
    unwanted.abort();
    await base?.catch(() => undefined);
    throw error;
  }
  const report = await repeatRun(
    {
      ...{ stack, guest, build, manifest, source, jobs, phases, first },
      results: places().results,
      stopAfter: false,
      panicOnOops: config.panicOnOops,
      ...{ stopAtFirst, dumpMemory, otherSource: input.source !== undefined },
      ...(selection && { selection }),
      ...(seed !== undefined && { seed }),
    },
    repetitions,
    progress,
    signal,
  );
  return { report, base: await base?.catch(() => undefined) };
}

/** The report for a person, or as JSON. */
export function printReport(report: RunReport, json: boolean): void {
  if (json) {
    process.stdout.write(`${jsonText(report)}\n`);
    return;
  }
  const phases = (report.phases ?? []).map(
    ({ name, milliseconds }) => `${name} ${formatDuration(milliseconds)}`,
  );
  const colour = process.stdout.isTTY && picocolors.isColorSupported;
  process.stdout.write(`\n${renderTable(report, colour)}${phases.join(", ")}\n`);
}

/** The stack's configuration as its file has it. @throws ConfigurationError with every mistake */
export async function stackConfig(stack: string): Promise<StackConfig> {
  const { checkout } = places();
  const { raw } = await readStackFile(checkout, stack);
  return parseStackConfig(raw, process.env, thisHost(checkout), `stack ${stack}`);
}

async function buildFor(
  stack: string,
  config: StackConfig,
  guest: StackGuest & { readonly address: Parameters<typeof GuestSession.connect>[0] },
  selection: Selection | undefined,
  progress: Progress,
  signal: AbortSignal,
): Promise<BuildResult> {
  // What the user got wrong is told before anything is built.
  const manifest = await readManifest(config.source);
  const suites = selectedSuites(manifest, selection ?? everything).map(({ name }) => name);
  const opened = await imageOf(guest);
  const request = { stack, source: config.source, suites };
  const context = { progress, signal };
  if (config.buildOn === "host") {
    const image = builtImage(opened);
    return buildModule({ ...request, image, builder: hostBuilder(image.sysroot) }, context);
  }
  const session = await GuestSession.connect(guest.address, { deadlineMs: connectMs, signal });
  try {
    const image = { ...opened, kernelRelease: await runningKernel(session) };
    return await buildModule({ ...request, image, builder: guestBuilder(session) }, context);
  } finally {
    session.close();
  }
}
