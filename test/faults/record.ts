/**
 * Records what a kernel says when it goes wrong: each fault in a fresh fork of a stack's guest, its
 * console from the fault on kept as test/fixtures/console/<kernel>/<fault>.log, where a kernel with
 * sanitizers has a name with them (6.1-kasan-kmemleak-lockdep). `healthy-boot` is the
 * console of a cold boot of the stack's own guest.
 *
 *     test/faults/record STACK [fault…]
 *
 * Any stack that is up will do; its kernel is what is recorded.
 */
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { knownGuest } from "../../cli/knownGuest.ts";
import { buildModule } from "../../lab/build/build.ts";
import { hostBuilder } from "../../lab/build/hostBuild.ts";
import { resultsFolder } from "../../lab/build/results.ts";
import type { BuildResult } from "../../lab/build/result.ts";
import { places } from "../../lab/config/places.ts";
import { startDomain, stopDomain } from "../../lab/guest/power.ts";
import { readGuestRecord } from "../../lab/guest/record.ts";
import { waitForGuest } from "../../lab/guest/wait.ts";
import { sanitizersOf } from "../../lab/kernel/sanitizers.ts";
import { terminalProgress, type Progress } from "../../lab/report/progress.ts";
import { forkBase, startSibling, type ForkBase } from "../../lab/warm/sibling.ts";
import { builtImage } from "../../lab/image/image.ts";
import { bootPatience, imageOf } from "../../lab/warm/stackGuest.ts";
import { recordings, type Recording } from "./recordings.ts";

const healthyBoot = "healthy-boot";
/** Where the built module lies in the guest. */
const guestFolder = "/var/lib/vexlab/faults";
const smallMs = 30_000;
const defaultSeconds = 5;
/** The console counts as complete when it was silent for so long … */
const silentMs = 1_500;
/** … or after this time. */
const mostSettleMs = 15_000;
/** A report that repeats itself or a flood is cut. */
const mostBytes = 48 * 1024;

const [stack, ...wanted] = process.argv.slice(2);
if (stack === undefined) {
  process.stderr.write(`usage: test/faults/record STACK [${healthyBoot} | fault…]\n`);
  process.exit(2);
}
await record(stack, wanted, terminalProgress());

async function record(name: string, names: readonly string[], progress: Progress): Promise<void> {
  const known = new Set([healthyBoot, ...recordings.map((each) => each.name)]);
  for (const each of names)
    if (!known.has(each))
      throw new Error(`there is no fault ${each}; there are ${[...known].join(", ")}`);
  const isWanted = (each: string): boolean => names.length === 0 || names.includes(each);

  const guest = await knownGuest(name);
  const image = builtImage(await imageOf(guest));
  const source = join(places().checkout, "test", "faults");
  const build = await buildModule(
    { stack: name, source, image, suites: [], builder: hostBuilder(image.sysroot) },
    { progress },
  );
  const series = /^\d+\.\d+/.exec(build.kernelRelease)?.[0] ?? build.kernelRelease;
  const sanitizers = await sanitizersOf(image);
  const kernel = [series, ...sanitizers].join("-");
  const folder = join(places().checkout, "test", "fixtures", "console", kernel);
  await mkdir(folder, { recursive: true });
  const keep = async (fault: string, text: string): Promise<void> => {
    const header = `# kernel ${build.kernelRelease}, fault ${fault}\n`;
    await writeFile(join(folder, `${fault}.log`), header + text.replaceAll("\r\n", "\n"));
  };

  const base = await forkBase(guest, resultsFolder(name, places()), progress);
  const canSay = (each: Recording): boolean => !each.sanitizers || sanitizers.length > 0;
  for (const recording of recordings.filter((each) => isWanted(each.name) && canSay(each))) {
    const step = progress.step(recording.name);
    const text = await recordFault(base, build, recording);
    await keep(recording.name, text);
    step.done(`${text.length} bytes`);
  }
  if (isWanted(healthyBoot)) {
    const step = progress.step(healthyBoot);
    await keep(healthyBoot, await recordBoot(guest, progress));
    step.done();
  }
}

async function recordFault(
  base: ForkBase,
  build: BuildResult,
  { command, settings = {}, seconds = defaultSeconds }: Recording,
): Promise<string> {
  const sibling = await startSibling(base);
  const { guest, consoleFile } = sibling;
  try {
    const asRoot = (script: string): ReturnType<typeof guest.run> =>
      guest.run(["sudo", "-n", "sh", "-c", script], { deadlineMs: smallMs + seconds * 1000 });
    await guest.uploadFolder(build.folder, guestFolder);
    const set = Object.entries(settings).map(([file, value]) => `echo ${value} >${file}`);
    const { exitCode, stderr } = await asRoot(["set -e", ...set].join("\n"));
    if (exitCode !== 0) throw new Error(`the guest's kernel could not be set up: ${stderr}`);
    await settled(consoleFile);
    const { size } = await stat(consoleFile);
    // It may never end, and the guest may be gone: only the console counts.
    const ended = asRoot(`cd ${guestFolder}/modules; ${command}`).catch(() => undefined);
    await Promise.race([ended, sleep(seconds * 1000)]);
    await settled(consoleFile);
    return (await readFile(consoleFile)).subarray(size, size + mostBytes).toString("utf8");
  } finally {
    await sibling.remove();
  }
}

/** Waits until nothing more comes. */
async function settled(file: string): Promise<void> {
  const began = performance.now();
  let last = -1;
  while (performance.now() - began < mostSettleMs) {
    const { size } = await stat(file);
    if (size === last) return;
    last = size;
    await sleep(silentMs);
  }
}

type StackGuest = Awaited<ReturnType<typeof knownGuest>>;

/** A boot from nothing: what Pulumi has defined always boots cold. */
async function recordBoot(guest: StackGuest, progress: Progress): Promise<string> {
  const { libvirtUri, domain, stackFolder, address, consoleFile, bootMs } = guest;
  await stopDomain(libvirtUri, domain, 0);
  await startDomain(libvirtUri, domain);
  const record = await readGuestRecord(stackFolder);
  const deadlineMs = bootMs * (await bootPatience(guest));
  const known = { stackFolder, address, consoleFile, libvirtUri, deadlineMs };
  await waitForGuest({ ...known, domain: record?.domain ?? domain }, progress);
  await settled(consoleFile);
  return readFile(consoleFile, "utf8");
}
