/**
 * Installs the tools of pins.ts into the user's cache, once for all checkouts.
 *
 * A toolchain is a folder named by the hash of everything that decides its content. It is put
 * together in a staging folder beside it and renamed when whole; what an interrupted run finished in
 * the staging folder, the next run takes over. One process installs, others wait.
 */
import { createHash } from "node:crypto";
import { chmod, cp, link, mkdir, readFile, rename, rm, stat, symlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import fastGlob from "fast-glob";
import writeFileAtomic from "write-file-atomic";
import * as z from "zod";
import { ExitCode, LabError } from "../lab/config/errors.ts";
import { places } from "../lab/config/places.ts";
import type { Progress } from "../lab/report/progress.ts";
import { DownloadError, Network, sumInList, usualDeadlines } from "./download.ts";
import { goBuild } from "./goBuild.ts";
import { takeLock } from "./lock.ts";
import { programsOnPath } from "./pathPrograms.ts";
import { sha256OfFile } from "./sha256.ts";
import { writePlugin } from "./command-plugin/install.ts";
import {
  architectureOf,
  libvirtProvider,
  libvirtProviderAddress,
  terraformBridge,
  tools,
  type Architecture,
  type GoSource,
  type Source,
  type Tool,
} from "./pins.ts";

const here = dirname(fileURLToPath(import.meta.url));
// As long as two people's cold builds on two slow cores.
const lockDeadlineSeconds = 3600;

const installedTool = z.object({
  name: z.string(),
  version: z.string(),
  /** The kind of source that it came from, and what exactly. */
  source: z.enum(["path", "download", "registry", "go", "stand-in"]),
  from: z.string(),
  seconds: z.number(),
  /** SHA-256 of each of its programs. */
  programs: z.record(z.string(), z.string()),
});
export type InstalledTool = z.infer<typeof installedTool>;

export interface Toolchain {
  readonly folder: string;
  /** Put first on PATH. */
  readonly bin: string;
  /** vexlab's own PULUMI_HOME. */
  readonly home: string;
  readonly tools: readonly InstalledTool[];
}

/** The hash of what decides a toolchain's content: pins, Go sums, the stand-in, the processor. */
export async function toolchainKey(folder: string = here): Promise<string> {
  const files = await fastGlob(["pins.ts", "*/go.mod", "*/go.sum", "command-plugin/**"], {
    cwd: folder,
    ignore: ["**/node_modules/**"],
  });
  const hash = createHash("sha256").update(process.arch);
  for (const file of files.sort())
    hash.update(`\0${file}\0`).update(await readFile(join(folder, file)));
  return hash.digest("hex").slice(0, 16);
}

/** What one installation is done with. */
interface Site {
  /** The folder that becomes the toolchain. */
  readonly staging: string;
  /** Of all toolchains. */
  readonly root: string;
  readonly architecture: Architecture;
  readonly network: Network;
  readonly environment: NodeJS.ProcessEnv;
  readonly line: (text: string) => void;
}

const binOf = (folder: string): string => join(folder, "bin");
const homeOf = (folder: string): string => join(folder, "home");

/** Runs the engine that is already in the staging folder, with the home that is being filled. */
async function stagedPulumi(site: Site, args: readonly string[], seconds: number): Promise<void> {
  await execa(join(binOf(site.staging), "pulumi"), args, {
    env: {
      ...site.environment,
      PATH: `${binOf(site.staging)}:${site.environment["PATH"] ?? ""}`,
      PULUMI_HOME: homeOf(site.staging),
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    },
    extendEnv: false,
    cwd: site.staging,
    stdin: "ignore",
    timeout: seconds * 1000,
  });
}

/** Where the bridge looks for the libvirt provider before it asks a registry. */
function providerFolder(site: Site): string {
  const platform = `linux_${site.architecture.go}`;
  const { version } = libvirtProvider;
  return join(
    homeOf(site.staging),
    "dynamic_tf_plugins",
    libvirtProviderAddress,
    version,
    platform,
  );
}

const providerParameters = [libvirtProviderAddress, libvirtProvider.version] as const;

/**
 * Gets a tool's programs from one source into a folder; returns where they came from.
 *
 * @throws an error when this source has nothing to give here
 */
async function obtain(tool: Tool, source: Source, folder: string, site: Site): Promise<string> {
  switch (source.kind) {
    case "path": {
      await mkdir(homeOf(site.staging), { recursive: true });
      const home = homeOf(site.staging);
      const looked = await programsOnPath(source, tool.programs, site.root, home, site.environment);
      if ("problem" in looked) throw new DownloadError(looked.problem);
      await mkdir(folder, { recursive: true });
      for (const [program, file] of Object.entries(looked.found))
        await symlink(file, join(folder, program));
      return Object.values(looked.found).join(", ");
    }
    case "download": {
      const address = source.url(site.architecture);
      const archive = join(site.staging, basename(new URL(address).pathname));
      let sum: string | undefined;
      if (source.checksums) {
        const list = await site.network.text(source.checksums, `${archive}.sums`);
        sum = sumInList(list, basename(archive));
        if (!sum) throw new DownloadError(`${source.checksums} doesn't name ${basename(archive)}`);
      }
      await site.network.file(address, archive, sum);
      await mkdir(folder, { recursive: true });
      // The engine's archive has one folder at the top, the plugins' archives have none.
      const top = tool.name === "pulumi" ? ["--strip-components=1"] : [];
      await execa(
        "tar",
        [
          ["--extract", "--gzip", "--no-same-owner", "--file", archive],
          ["--directory", folder, ...top],
        ].flat(),
      );
      await rm(archive, { force: true });
      await rm(`${archive}.sums`, { force: true });
      return address;
    }
    case "registry": {
      await site.network.reach(source.url);
      const schema = `${terraformBridge.name}@${terraformBridge.version}`;
      await stagedPulumi(site, ["package", "get-schema", schema, ...providerParameters], 300);
      await cp(providerFolder(site), folder, { recursive: true });
      return source.url;
    }
    case "go":
      await built(source, folder, site);
      return `built with ${source.toolchain} from toolchain/${source.folder}`;
    case "stand-in":
      await mkdir(folder, { recursive: true });
      await writePlugin(folder, tool.version);
      return `toolchain/${source.folder}`;
  }
}

/**
 * Builds a Go source, or takes what was built from the same modules for another toolchain: a change
 * of one pin must not cost the minutes of all.
 */
async function built(source: GoSource, folder: string, site: Site): Promise<void> {
  const hash = createHash("sha256").update(JSON.stringify(source)).update(process.arch);
  for (const file of ["go.mod", "go.sum"])
    hash.update(await readFile(join(here, source.folder, file)));
  const kept = join(site.root, "go", `${source.folder}-${hash.digest("hex").slice(0, 16)}`);
  const programs = Object.keys(source.packages);
  const present = await stat(kept).catch(() => undefined);
  if (!present) {
    site.line("building from pinned Go modules (minutes)");
    await goBuild(source, here, kept, site.line, site.environment);
  }
  await mkdir(folder, { recursive: true });
  for (const program of programs) await link(join(kept, program), join(folder, program));
}

/** Puts a tool's programs where the engine, or the user's shell, looks for them. */
async function place(tool: Tool, folder: string, site: Site): Promise<void> {
  if (tool.name === "pulumi") {
    await mkdir(binOf(site.staging), { recursive: true });
    await cp(folder, binOf(site.staging), { recursive: true, verbatimSymlinks: true });
  } else if (tool.name === libvirtProvider.name) {
    await rm(providerFolder(site), { recursive: true, force: true });
    await mkdir(dirname(providerFolder(site)), { recursive: true });
    await cp(folder, providerFolder(site), { recursive: true });
  } else {
    const plugin = ["plugin", "install", "resource", tool.name, tool.version];
    await stagedPulumi(site, [...plugin, "--file", folder, "--reinstall"], 120);
  }
}

const reasonOf = (error: unknown): string =>
  error instanceof Error && "shortMessage" in error && "stderr" in error
    ? `${String(error.shortMessage)}: ${String(error.stderr).trim().split("\n").at(-1) ?? ""}`
    : error instanceof Error
      ? error.message
      : String(error);

/** Installs one tool from the first source that has it. */
async function installTool(tool: Tool, site: Site, progress: Progress): Promise<InstalledTool> {
  const record = join(site.staging, `${tool.name}.json`);
  const earlier = await readRecord(record);
  if (earlier) {
    progress.line(`${tool.name} ${tool.version}: taken over from an interrupted run`);
    return earlier;
  }
  const began = performance.now();
  const step = progress.step(`${tool.name} ${tool.version}`);
  const folder = join(site.staging, "obtained", tool.name);
  const refused: string[] = [];
  let next: string | undefined;
  for (const source of tool.sources) {
    try {
      await rm(folder, { recursive: true, force: true });
      const from = await obtain(tool, source, folder, site);
      const programs: Record<string, string> = {};
      for (const program of tool.programs) {
        const file = join(folder, program);
        if (source.kind !== "path") await chmod(file, 0o755);
        programs[program] = await sha256OfFile(file);
      }
      await place(tool, folder, site);
      await rm(folder, { recursive: true, force: true });
      const seconds = Math.round((performance.now() - began) / 100) / 10;
      const { name, version } = tool;
      const installed = { name, version, source: source.kind, from, seconds, programs };
      await writeFileAtomic(record, `${JSON.stringify(installed, null, 2)}\n`);
      step.done(`${source.kind}: ${from}`);
      return installed;
    } catch (error) {
      refused.push(`${source.kind}: ${reasonOf(error)}`);
      if (error instanceof LabError) next = error.next;
      progress.line(refused.at(-1) ?? "");
    }
  }
  step.failed();
  throw new LabError(
    `${tool.name} ${tool.version} can't be had from any of its sources:\n  ${refused.join("\n  ")}`,
    ExitCode.infrastructureFailed,
    next ?? "Make one of the sources reachable and run again.",
  );
}

async function readRecord(file: string): Promise<InstalledTool | undefined> {
  const text = await readFile(file, "utf8").catch(() => undefined);
  return text === undefined ? undefined : installedTool.parse(JSON.parse(text));
}

/** The toolchain in a folder; undefined when it isn't there, or a program it points to is gone. */
async function openToolchain(folder: string): Promise<Toolchain | undefined> {
  const records = await Promise.all(
    tools.map((tool) => readRecord(join(folder, `${tool.name}.json`))),
  );
  const complete = records.filter((record) => record !== undefined);
  const whole = complete.length === tools.length;
  // Programs from PATH are symbolic links: a user may have removed what they point to.
  const engine = await stat(join(binOf(folder), "pulumi")).catch(() => undefined);
  if (!whole || !engine) return undefined;
  return { folder, bin: binOf(folder), home: homeOf(folder), tools: complete };
}

/**
 * The toolchain of this checkout's pins, installed if it isn't yet.
 *
 * @throws LabError (exit 3) when a tool can't be had, naming every source and why not
 */
export async function ensureToolchain(
  progress: Progress,
  cache: string = places().cache,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Toolchain> {
  const root = join(cache, "toolchain");
  const folder = join(root, await toolchainKey());
  const present = await openToolchain(folder);
  if (present) return present;

  const architecture = architectureOf();
  if (!architecture) {
    throw new LabError(
      `There is no Pulumi for this machine's processor (${process.arch})`,
      ExitCode.infrastructureFailed,
      "Use a machine with an x86-64 or arm64 processor.",
    );
  }
  const lock = await takeLock(`${folder}.lock`, lockDeadlineSeconds, (holder) =>
    progress.line(
      `process ${holder ?? "unknown"} is installing the Pulumi toolchain; waiting for it`,
    ),
  );
  try {
    const installedMeanwhile = await openToolchain(folder);
    if (installedMeanwhile) return installedMeanwhile;
    const step = progress.step("Pulumi engine and plugins");
    const staging = `${folder}.staging`;
    await mkdir(staging, { recursive: true });
    const line = (text: string): void => progress.line(text);
    const network = new Network(usualDeadlines, environment);
    const site: Site = { staging, root, architecture, network, environment, line };
    try {
      for (const tool of tools) await installTool(tool, site, progress);
      await rm(join(staging, "obtained"), { recursive: true, force: true });
      await rm(folder, { recursive: true, force: true });
      await rename(staging, folder);
    } catch (error) {
      step.failed();
      throw error;
    }
    step.done();
    const installed = await openToolchain(folder);
    if (!installed) throw new Error(`${folder} is not a whole toolchain after its installation`);
    return installed;
  } finally {
    await lock.release();
  }
}
