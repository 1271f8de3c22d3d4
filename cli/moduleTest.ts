/** `vexlab module test`: loads a built module in the stack's guest, runs its suites and judges. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { Option, type Command } from "commander";
import picocolors from "picocolors";
import * as z from "zod";
import { buildResultSchema, type BuildResult } from "../lab/build/result.ts";
import { resultFile, resultsFolder } from "../lab/build/results.ts";
import { cancellable } from "../lab/config/cancellation.ts";
import { allow } from "../lab/config/allowed.ts";
import { ExitCode, LabError } from "../lab/config/errors.ts";
import { readManifest } from "../lab/config/manifest.ts";
import { panicModes } from "../lab/config/panicMode.ts";
import { places, stackFolder } from "../lab/config/places.ts";
import { stackName } from "../lab/config/stackName.ts";
import { verbInput } from "../lab/config/verbInput.ts";
import { connectionUri } from "../lab/hypervisor/connection.ts";
import { jsonText } from "../lab/report/json.ts";
import { Phases } from "../lab/report/phases.ts";
import { terminalProgress } from "../lab/report/progress.ts";
import { renderTable } from "../lab/report/table.ts";
import { forgetLastVerdict } from "../lab/run/lastVerdict.ts";
import { forkedGuest, ownGuest } from "../lab/run/openGuest.ts";
import type { GuestPlace } from "../lab/run/readyGuest.ts";
import { repeatRun } from "../lab/run/repeatRun.ts";
import { forkBase } from "../lab/warm/sibling.ts";
import type { StackGuest } from "../lab/warm/stackGuest.ts";
import { bootMs, knownGuest } from "./knownGuest.ts";
import {
  addEvidenceOptions,
  addRepeatOptions,
  addScopeOptions,
  evidenceKeys,
  repeatKeys,
  repetitionsOf,
  scopeKeys,
  scopeOf,
  scopeOfFlags,
  seedFits,
  stopFits,
  type ScopeFlags,
} from "./runOptions.ts";

/** Input of the verb; all but the stack can be left out for a stack that is up. */
export const moduleTestInput = z
  .strictObject({
    stack: stackName(),
    /** libvirt's name or UUID of the domain. */
    domain: z.string().optional(),
    libvirtUri: z.string().optional(),
    /** What `vexlab module build` printed, or the path of a built tree's result.json. */
    build: z.union([buildResultSchema, z.string()]).optional(),
    guest: z
      .strictObject({
        host: z.string(),
        port: z.int(),
        user: z.string(),
        privateKeyFile: z.string(),
        knownHostsFile: z.string(),
      })
      .optional(),
    consoleFile: z.string().optional(),
    /** Whether a failing verdict is the verb's exit code, or only in its result. */
    onFailure: allow("fail or report", z.enum(["fail", "report"])).default("fail"),
    stopAfter: z.boolean().default(false),
    panicOnOops: allow(panicModes.join(", "), z.enum(panicModes)).default("forks"),
    /** `auto`: in forks of the stack's warm image where that can be; `off`: in the stack's own guest. */
    warm: allow("auto or off", z.enum(["auto", "off"])).default("auto"),
    ...scopeKeys,
    ...repeatKeys,
    ...evidenceKeys,
  })
  .refine(seedFits.check, seedFits.fault)
  .refine(stopFits.check, stopFits.fault);

interface Flags extends ScopeFlags {
  readonly input?: string;
}

export function register(program: Command): void {
  const module =
    program.commands.find((command) => command.name() === "module") ??
    program.command("module").description("the module under test");
  const command = module
    .command("test")
    .description("load the built module in the stack's guest, run its suites and judge")
    .option("--stack <name>", "the stack in whose guest it is tested")
    .option("--build <file>", "result.json of a build; default: the stack's newest")
    .option("--on-failure <what>", "fail, or report: exit 0 with the verdict in the result")
    .option("--stop-after", "stop the stack's guest after the run")
    .option(
      "--panic-on-oops <forks|always|never>",
      "in which guests an oops ends in a panic; forks: in those of this run only",
    )
    .option("--warm <auto|off>", "off: in the stack's own guest instead of in a fork");
  addEvidenceOptions(addRepeatOptions(addScopeOptions(command)))
    .addOption(
      new Option("--input <json>", "the same as one JSON object").env("VEXLAB_INPUT").hideHelp(),
    )
    .action(async ({ input, ...flags }: Flags) => {
      process.exitCode = await moduleTest(
        verbInput("module test", moduleTestInput, input, scopeOfFlags(flags)),
      );
    });
}

async function moduleTest(input: z.output<typeof moduleTestInput>): Promise<ExitCode> {
  await forgetLastVerdict(stackFolder(input.stack));
  const build = await buildOf(input);
  const guest = await guestOf(input);
  const manifest = await readManifest(build.folder);
  const progress = terminalProgress();
  const report = await cancellable((signal) => {
    const own = ownGuest(guest);
    const builds = resultsFolder(input.stack, places());
    const source =
      input.warm === "off" ? own : forkedGuest(forkBase(guest, builds, progress, signal), own);
    return repeatRun(
      {
        stack: input.stack,
        guest,
        build,
        manifest,
        results: places().results,
        stopAfter: input.stopAfter,
        panicOnOops: input.panicOnOops,
        dumpMemory: input.dumpMemory,
        source,
        jobs: input.jobs,
        phases: new Phases(),
        ...scopeOf(input),
      },
      repetitionsOf(input),
      progress,
      signal,
    );
  });
  process.stderr.write(`\n${renderTable(report, picocolors.isColorSupported)}`);
  process.stdout.write(`${jsonText(report)}\n`);
  return input.onFailure === "report" && report.verdict !== "cancelled"
    ? ExitCode.passed
    : report.exitCode;
}

async function guestOf(input: z.output<typeof moduleTestInput>): Promise<GuestPlace & StackGuest> {
  const { guest, domain, libvirtUri, consoleFile } = input;
  if (guest === undefined || domain === undefined || libvirtUri === undefined) {
    const known = await knownGuest(input.stack);
    return { ...known, ...(domain !== undefined && { domain }) };
  }
  const folder = stackFolder(input.stack);
  return {
    stackFolder: folder,
    address: guest,
    user: guest.user,
    consoleFile: consoleFile ?? join(folder, "console.log"),
    domain,
    libvirtUri: connectionUri(libvirtUri),
    bootMs,
  };
}

async function buildOf(input: z.output<typeof moduleTestInput>): Promise<BuildResult> {
  if (typeof input.build === "object") return input.build;
  const file = input.build ?? (await newestBuild(input.stack));
  if (file === undefined)
    throw new LabError(
      `stack ${input.stack} has no build`,
      ExitCode.usage,
      `Make one first: npm run up -- ${input.stack}`,
    );
  try {
    return buildResultSchema.parse(JSON.parse(await readFile(file, "utf8")));
  } catch (cause) {
    throw new LabError(
      `${file} is not the result of a build: ${(cause as Error).message.split("\n")[0] ?? ""}`,
      ExitCode.usage,
      "Give the result.json of a finished build.",
      { cause },
    );
  }
}

async function newestBuild(stack: string): Promise<string | undefined> {
  const results = resultsFolder(stack, places());
  const names = await readdir(results).catch(() => []);
  const found = await Promise.all(
    names.map(async (name) => {
      const file = resultFile(join(results, name));
      const status = await stat(file).catch(() => undefined);
      return status && { file, at: (await stat(join(results, name))).mtimeMs };
    }),
  );
  return found.filter((each) => each !== undefined).sort((a, b) => b.at - a.at)[0]?.file;
}
