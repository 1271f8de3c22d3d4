/** `vexlab kernels` and `vexlab kernels lock`: which kernels there are, and which ones the stacks keep to. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { debianReleases, isDebianImage, type DebianImage } from "../lab/config/debianReleases.ts";
import { ConfigurationError, ExitCode, LabError } from "../lab/config/errors.ts";
import { formatLock, lockFile, readLock } from "../lab/config/kernelLock.ts";
import { places } from "../lab/config/places.ts";
import { stackFiles } from "../lab/config/stackFiles.ts";
import { readSuites, type SuiteIndex } from "../lab/image/archiveIndex.ts";
import { kernelTable, listKernels, suiteNotes } from "../lab/image/kernelList.ts";
import { lockChanges, lockFor } from "../lab/image/lockKernels.ts";
import { terminalProgress } from "../lab/report/progress.ts";
import { writeWhole } from "../lab/report/wholeFile.ts";

const images = Object.keys(debianReleases) as DebianImage[];

interface ListFlags {
  readonly json?: boolean;
  readonly refresh?: boolean;
  readonly image?: string;
}

export function register(program: Command): void {
  const kernels = program
    .command("kernels")
    .description("the kernels that guests can have, by what the distributions' archives hold now")
    .option("--json", "as JSON")
    .option("--refresh", "ask the archives now, whatever was known some hours ago")
    .option("--image <name>", `only those of one image: ${images.join(", ")}`)
    .action(list);
  kernels
    .command("lock")
    .description(`write ${lockFile}: the exact kernels that the stacks mean today, and keep to`)
    .option("--check", "write nothing; exit code 1 when the file is not what would be written")
    .action(lock);
}

async function list({ json, refresh, image }: ListFlags): Promise<void> {
  if (image !== undefined && !isDebianImage(image))
    throw new ConfigurationError("kernels", [
      { key: "--image", value: image, problem: "is no such image", allowed: images.join(", ") },
    ]);
  const shown = image === undefined ? images : [image];
  const suites = await ask(shown, refresh);
  const found = listKernels(shown, suites);
  const notes = suiteNotes(suites, new Date());
  if (json === true) {
    const known = suites.map(({ suite, asked, gone, problem }) => ({
      suite,
      asked,
      gone,
      problem,
    }));
    process.stdout.write(`${JSON.stringify({ kernels: found, suites: known })}\n`);
  } else {
    process.stdout.write(kernelTable(found));
    process.stderr.write(`${notes.join("\n")}\n`);
  }
  if (found.length === 0)
    throw new LabError("no kernel is known", ExitCode.infrastructureFailed, notes[0]);
}

async function lock({ check }: { check?: boolean }): Promise<void> {
  const { checkout } = places();
  const suites = await ask(images, true);
  const closed = suites.filter(({ problem }) => problem !== undefined);
  // A lock made of what was there once could name what is gone.
  if (closed.length > 0)
    throw new LabError(
      `the archive can't be asked: ${suiteNotes(closed, new Date()).join("; ")}`,
      ExitCode.infrastructureFailed,
      "Look at the network and at the host's apt configuration, and try again.",
    );
  const now = lockFor(
    await stackFiles(checkout),
    suites.flatMap(({ kernels }) => kernels),
  );
  const text = formatLock(now);
  const changes = lockChanges((await readLock(checkout)) ?? {}, now);
  for (const change of changes) process.stdout.write(`${change}\n`);
  const file = join(checkout, lockFile);
  if (text === (await readFile(file, "utf8").catch(() => ""))) {
    process.stderr.write(`${lockFile} is up to date\n`);
    return;
  }
  if (check === true) {
    process.stderr.write(`${lockFile} is not up to date: vexlab kernels lock\n`);
    process.exitCode = ExitCode.failed;
    return;
  }
  await writeWhole(file, text);
  process.stderr.write(`${lockFile} is written\n`);
}

/** Asks for the suites of images; Ctrl-C ends apt, too. */
async function ask(of: readonly DebianImage[], refresh?: boolean): Promise<SuiteIndex[]> {
  const cancelling = new AbortController();
  const cancel = (): void => cancelling.abort();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, cancel);
  try {
    return await readSuites(
      of.flatMap((image) => debianReleases[image].suites),
      { progress: terminalProgress(), refresh, signal: cancelling.signal },
    );
  } finally {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.off(signal, cancel);
  }
}
