/**
 * The kernels that the archive's suites have today. apt itself gets and verifies the lists, in folders
 * of ours below the user's cache, so that the host's own package state stays as it is:
 *
 *     archive/<suite>.json     the kernels of a suite, and when the archive was asked
 *     archive/<suite>/         apt's state for it
 *     archive/<suite>.lock     held while apt runs there
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import pLimit from "p-limit";
import writeFileAtomic from "write-file-atomic";
import * as z from "zod";
import { isSecuritySuite } from "../config/debianReleases.ts";
import { ExitCode, LabError } from "../config/errors.ts";
import { places } from "../config/places.ts";
import type { Progress } from "../report/progress.ts";
import { archiveOptions, packageArchive } from "./archive.ts";
import type { DebianArchive } from "./aptSources.ts";
import { type CatalogueKernel, kernelsIn } from "./kernelCatalogue.ts";
import { takeLock } from "./lock.ts";
import { StanzaReader } from "./packageStanzas.ts";

/** What the archive has, or had when it could last be asked. */
export interface SuiteIndex {
  readonly suite: string;
  readonly kernels: readonly CatalogueKernel[];
  /** When the archive was last asked; undefined when it never was with success. */
  readonly asked?: Date;
  /** The archive has no such suite (any more). */
  readonly gone: boolean;
  /** Why the archive could not be asked now; what is here is older then. */
  readonly problem?: string;
}

export interface IndexOptions {
  readonly progress: Progress;
  /** Ask the archive again whatever is known. */
  readonly refresh?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly cache?: string | undefined;
  /** Seconds for one suite. */
  readonly deadlineSeconds?: number | undefined;
}

/** Debian's archive changes four times a day. */
const freshHours = 6;
const suiteDeadlineSeconds = 300;
/** A list is unpacked and read for each; two at a time keep two processors busy. */
const atOnce = 2;

// Debian's keys, from the package debian-archive-keyring.
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

const kernelSchema = z.object({
  suite: z.string(),
  series: z.string(),
  release: z.string(),
  version: z.string(),
  image: z.string(),
  headers: z.string(),
  compiler: z.string(),
  debugSymbols: z.string().optional(),
  current: z.boolean(),
});
const keptSchema = z.object({
  archive: z.string(),
  asked: z.iso.datetime(),
  gone: z.boolean(),
  kernels: z.array(kernelSchema),
});
type Kept = z.infer<typeof keptSchema>;

const folderOf = (cache: string): string => join(cache, "archive");

/**
 * The kernels of these suites: what is known if that is not older than some hours, else asked of the
 * archive. When it can't be asked, what is known is used however old it is, and the answer says so.
 *
 * @throws LabError when this host names no archive, or is no host with apt; 130 when cancelled
 */
export async function readSuites(
  suites: readonly string[],
  options: IndexOptions,
): Promise<SuiteIndex[]> {
  const archive = await packageArchive();
  if (archive === undefined)
    throw new LabError(
      "this host's apt names no archive of Debian, so nothing tells which kernels there are",
      ExitCode.infrastructureFailed,
      "Set VEXLAB_MIRROR, and VEXLAB_SECURITY_MIRROR, to the address of one.",
    );
  const cache = options.cache ?? places().cache;
  await mkdir(folderOf(cache), { recursive: true });
  const limit = pLimit(atOnce);
  return Promise.all(
    suites
      .filter((suite) => !isSecuritySuite(suite) || archive.security !== undefined)
      .map((suite) => limit(() => readSuite(suite, addressOf(suite, archive), cache, options))),
  );
}

const addressOf = (suite: string, archive: DebianArchive): string =>
  isSecuritySuite(suite) ? (archive.security ?? archive.main) : archive.main;

async function readSuite(
  suite: string,
  address: string,
  cache: string,
  options: IndexOptions,
): Promise<SuiteIndex> {
  const fresh = (kept: Kept | undefined, hours: number): boolean =>
    kept !== undefined && Math.abs(Date.now() - Date.parse(kept.asked)) < hours * 3_600_000;
  const began = Date.now();
  const known = await readKept(suite, address, cache);
  if (known !== undefined && options.refresh !== true && fresh(known, freshHours))
    return asIndex(suite, known);
  const lock = await takeLock(join(folderOf(cache), `${suite}.lock`), {
    deadlineSeconds: options.deadlineSeconds ?? suiteDeadlineSeconds,
    signal: options.signal,
    onWait: () => options.progress.line(`waiting for another process that asks for ${suite}`),
  });
  try {
    // Whoever was waited for has asked.
    const since = await readKept(suite, address, cache);
    if (since !== undefined && Date.parse(since.asked) > began) return asIndex(suite, since);
    return await ask(suite, address, cache, options, known);
  } finally {
    await lock.release();
  }
}

async function ask(
  suite: string,
  address: string,
  cache: string,
  options: IndexOptions,
  known: Kept | undefined,
): Promise<SuiteIndex> {
  options.progress.line(`asking the archive for ${suite}`);
  const folder = join(folderOf(cache), suite);
  const deadline = AbortSignal.timeout((options.deadlineSeconds ?? suiteDeadlineSeconds) * 1000);
  const run = runner(
    folder,
    AbortSignal.any([deadline, ...(options.signal ? [options.signal] : [])]),
  );
  await prepare(folder, suite, address);
  const update = await run("apt-get", ["update"]);
  if (options.signal?.aborted === true) throw new LabError("cancelled", ExitCode.cancelled);
  const gone = update.exitCode !== 0 && isGone(update.output);
  if (update.exitCode !== 0 && !gone) {
    const problem = deadline.aborted
      ? `no answer within ${options.deadlineSeconds ?? suiteDeadlineSeconds} s`
      : lastErrors(update.output);
    return {
      ...(known === undefined ? { suite, kernels: [], gone: false } : asIndex(suite, known)),
      problem,
    };
  }
  const kept: Kept = {
    archive: address,
    asked: new Date().toISOString(),
    gone,
    kernels: gone ? [] : kernelsIn(suite, await readStanzas(run)),
  };
  await writeFileAtomic(keptFile(suite, cache), `${JSON.stringify(kept)}\n`);
  return asIndex(suite, kept);
}

const keptFile = (suite: string, cache: string): string => join(folderOf(cache), `${suite}.json`);

async function readKept(suite: string, address: string, cache: string): Promise<Kept | undefined> {
  try {
    const kept = keptSchema.parse(JSON.parse(await readFile(keptFile(suite, cache), "utf8")));
    return kept.archive === address ? kept : undefined;
  } catch {
    // Not there, or unreadable: the archive is asked.
    return undefined;
  }
}

function asIndex(suite: string, { asked, gone, kernels }: Kept): SuiteIndex {
  const known = kernels.map(({ debugSymbols, ...kernel }) => ({
    ...kernel,
    ...(debugSymbols === undefined ? {} : { debugSymbols }),
  }));
  return { suite, kernels: known, gone, asked: new Date(asked) };
}

/** apt.conf(5): nothing of the host's but what is needed to reach the archive. */
async function prepare(folder: string, suite: string, address: string): Promise<void> {
  for (const name of ["lists/partial", "cache/archives/partial"])
    await mkdir(join(folder, name), { recursive: true });
  await writeFile(join(folder, "status"), "");
  await writeFile(
    join(folder, "sources.list"),
    `deb [arch=amd64 target=Packages signed-by=${keyring}] ${address} ${suite} main\n`,
  );
  const settings: Record<string, string> = {
    "Dir::State": join(folder, "state"),
    "Dir::State::lists": join(folder, "lists"),
    "Dir::State::status": join(folder, "status"),
    "Dir::Cache": join(folder, "cache"),
    // Each is used once, after which apt's own caches would only take room.
    "Dir::Cache::pkgcache": "",
    "Dir::Cache::srcpkgcache": "",
    "Acquire::GzipIndexes": "true",
    "Dir::Etc::main": "/dev/null",
    "Dir::Etc::parts": "/dev/null",
    "Dir::Etc::sourcelist": join(folder, "sources.list"),
    "Dir::Etc::sourceparts": "/dev/null",
    "Dir::Etc::preferences": "/dev/null",
    "Dir::Etc::preferencesparts": "/dev/null",
    "APT::Architecture": "amd64",
    // apt's own user cannot reach a folder below the caller's home.
    "APT::Sandbox::User": "root",
    // Else apt takes an old list for a failed download, and is content.
    "APT::Update::Error-Mode": "any",
    "Acquire::Languages": "none",
    "Acquire::http::Timeout": "30",
    "Acquire::https::Timeout": "30",
    "Acquire::Retries": "2",
  };
  await mkdir(join(folder, "state"), { recursive: true });
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";`);
  await writeFile(
    join(folder, "apt.conf"),
    [...lines, 'APT::Architectures { "amd64"; };', ...(await archiveOptions()), ""].join("\n"),
  );
}

type Run = (
  program: string,
  args: readonly string[],
  onOutput?: (chunk: string) => void,
) => Promise<{ exitCode: number; output: string }>;

/** Runs programs of apt with this folder's settings; what is passed to onOutput is not kept. */
function runner(folder: string, signal: AbortSignal): Run {
  return async (program, args, onOutput) => {
    const child = execa(program, args, {
      all: true,
      reject: false,
      stdin: "ignore",
      buffer: { stdout: onOutput === undefined, all: onOutput === undefined },
      cancelSignal: signal,
      env: { APT_CONFIG: join(folder, "apt.conf"), LC_ALL: "C.UTF-8" },
    });
    if (onOutput !== undefined) {
      child.stdout.setEncoding("utf8");
      for await (const chunk of child.stdout) onOutput(String(chunk));
    }
    const { exitCode, all, stderr, shortMessage } = await child;
    const output = onOutput === undefined ? all : stderr;
    return { exitCode: exitCode ?? 1, output: output || (shortMessage ?? "") };
  };
}

/** apt keeps its lists packed as it likes; it is asked where they are and unpacks them. */
async function readStanzas(run: Run): Promise<ReturnType<StanzaReader["end"]>> {
  const targets = await run("apt-get", [
    ...["indextargets", "--format", "$(FILENAME)", "Created-By: Packages"],
  ]);
  const files = targets.output.split("\n").filter((line) => line.startsWith("/"));
  const reader = new StanzaReader("linux-");
  for (const file of files) {
    const { exitCode, output } = await run("/usr/lib/apt/apt-helper", ["cat-file", file], (chunk) =>
      reader.push(chunk),
    );
    if (exitCode !== 0)
      throw new LabError(
        `apt can't read its own list ${file}: ${lastErrors(output)}`,
        ExitCode.infrastructureFailed,
      );
    reader.push("\n\n");
  }
  return reader.end();
}

/** apt's words for a suite that the archive does not have. */
function isGone(output: string): boolean {
  return (
    /^E: The repository '.*' does not have a Release file\.$/m.test(output) &&
    /\b404\b/.test(output)
  );
}

/** apt's errors in one line. */
export function lastErrors(output: string): string {
  const lines = output.split("\n").filter((line) => line.trim() !== "");
  const errors = lines.filter((line) => /^[EW]: /.test(line)).map((line) => line.slice(3));
  return (errors.length > 0 ? [...new Set(errors)] : lines.slice(-1)).slice(0, 3).join("; ");
}
