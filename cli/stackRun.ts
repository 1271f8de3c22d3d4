/**
 * What `up`, `preview` and `destroy` have in common: prepare the host, take the stack, run Pulumi,
 * and end with the code that tells what happened rather than Pulumi's.
 */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import picocolors from "picocolors";
import { ExitCode } from "../lab/config/errors.ts";
import { places, stackFolder, type Places } from "../lab/config/places.ts";
import { faultFileIn, faultFileVariable, readFault } from "../lab/config/programFault.ts";
import { usesPrivateDaemon } from "../lab/hypervisor/connection.ts";
import { startDaemon } from "../lab/hypervisor/daemon.ts";
import { stopUnlessNeeded } from "../lab/hypervisor/daemonUse.ts";
import { formatDuration, terminalProgress } from "../lab/report/progress.ts";
import { renderTable } from "../lab/report/table.ts";
import { readLastVerdict } from "../lab/run/lastVerdict.ts";
import type { RunReport } from "../lab/run/verdict.ts";
import { bootstrap } from "../toolchain/bootstrap.ts";
import { askPulumi, runPulumi } from "../toolchain/engine.ts";
import { pruneHistory } from "../toolchain/history.ts";
import { outcomeOf, type Outcome } from "../toolchain/outcome.ts";
import { eventLogAllowed, providerLimit, ProviderWatch } from "../toolchain/providerWatch.ts";
import {
  checkStackName,
  clearLeft,
  configFile,
  configuredUri,
  faultsFolder,
  type Stack,
} from "../toolchain/stack.ts";
import { readStackFile, restoreStackFile } from "../toolchain/stackConfigFile.ts";

/** The stack that a verb works on when none is named. */
export const defaultStack = "dev";

/** Prepares the host and checkout for a verb on a stack. */
export async function openStack(name: string): Promise<Stack> {
  checkStackName(name);
  const where = places();
  const progress = terminalProgress();
  const { engine } = await bootstrap(progress, where);
  return { name, where, engine, environment: process.env, progress };
}

/** Sees to the checkout's own libvirt daemon, which Pulumi's provider doesn't start by itself. */
export async function ensureDaemon(stack: Stack): Promise<void> {
  if (!usesPrivateDaemon(await configuredUri(stack))) return;
  const { started } = await startDaemon();
  if (started) stack.progress.line("the checkout's libvirt daemon was started");
}

/** Stops that daemon unless another stack needs it. */
export async function releaseDaemon(stack: Stack): Promise<void> {
  if (usesPrivateDaemon(await configuredUri(stack))) await stopUnlessNeeded();
}

/**
 * Runs Pulumi on the stack and judges how it ended; what changes the stack once more when the libvirt
 * provider hung: the caller has taken the stack. The stack's file keeps its content.
 */
export async function runOnStack(stack: Stack, args: readonly string[]): Promise<Outcome> {
  const first = await runOnce(stack, args);
  if (first.stalled === undefined || args[0] === "preview") return first;
  stack.progress.line("once more");
  await clearLeft(stack);
  const again = args.includes("--refresh") ? args : [...args, "--refresh"];
  const second = await runOnce(stack, again);
  return second.stalled ? { ...second, reason: `${second.reason}, twice` } : second;
}

async function runOnce(stack: Stack, args: readonly string[]): Promise<Outcome> {
  const began = performance.now();
  const startedAt = new Date().toISOString();
  const file = configFile(stack);
  const before = await readStackFile(file);
  const say = (text: string): void => stack.progress.line(text);
  const watch = new ProviderWatch(providerLimit(stack.environment), say);
  const faultFile = await faultFileIn(faultsFolder(stack));
  const eventLog = `${faultFile}.events`;
  const ended = new AbortController();
  const events = watch.follow(eventLog, ended.signal);
  try {
    const end = await runPulumi(stack.engine, {
      args: [...args, "--stack", stack.name, "--non-interactive", "--event-log", eventLog],
      environment: { ...stack.environment, ...eventLogAllowed, [faultFileVariable]: faultFile },
      say,
      started: (pid) => watch.begin(pid),
    });
    await pruneHistory(stack);
    const last = await readLastVerdict(stackFolder(stack.name, stack.where));
    const verdict = last && last.at >= startedAt ? last : undefined;
    say(`pulumi ${args[0] ?? ""} took ${formatDuration(performance.now() - began)}`);
    return outcomeOf(end, readFault(faultFile), verdict, watch.stalled);
  } finally {
    watch.end();
    ended.abort();
    await events;
    await restoreStackFile(file, before);
    for (const left of [faultFile, eventLog]) await rm(left, { force: true });
  }
}

/** Tests what is built once more, in the stack's own guest, which is started for it and stopped. */
export async function testAgain(stack: Stack): Promise<Outcome> {
  const program = join(stack.where.checkout, "scripts", "vexlab");
  const end = await execa(program, ["module", "test", "--stack", stack.name, "--stop-after"], {
    env: { ...stack.environment },
    stdio: ["ignore", "ignore", "inherit"],
    reject: false,
  });
  const verdict = await readLastVerdict(stackFolder(stack.name, stack.where));
  const exitCode = end.exitCode ?? ExitCode.infrastructureFailed;
  return verdict ? { exitCode, reason: verdict.reason, verdict } : { exitCode };
}

/** The stack's outputs, an aligned line each. */
export function outputLines(outputs: Readonly<Record<string, unknown>>): string[] {
  const shown = Object.entries(outputs).map(
    ([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)] as const,
  );
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`);
}

/** The report of a run; undefined where nothing was run, or its results were removed. */
async function reportOf(runId: string, where: Places): Promise<RunReport | undefined> {
  const text = await readFile(join(where.results, runId, "result.json"), "utf8").catch(() => "{}");
  const report = JSON.parse(text) as Partial<RunReport>;
  return report.runId === undefined ? undefined : (report as RunReport);
}

/** Prints the stack's outputs and the verdict, this run's or the last one. */
export async function printResult(stack: Stack, outcome: Outcome): Promise<void> {
  const { engine, name, where } = stack;
  const args = ["stack", "output", "--json", "--stack", name];
  const text = await askPulumi(engine, args, stack).catch(() => "{}");
  const lines = outputLines(JSON.parse(text) as Record<string, unknown>);
  const say = (said: string): unknown => process.stdout.write(`\n${said.trimEnd()}\n`);
  if (lines.length > 0) say(`Stack ${name}\n${lines.join("\n")}`);
  const { verdict, reason, exitCode } = outcome;
  const colour = process.stdout.isTTY && picocolors.isColorSupported;
  if (verdict) {
    const report = await reportOf(verdict.runId, where);
    say(report ? renderTable(report, colour) : `Verdict: ${verdict.verdict}: ${verdict.reason}`);
  } else if (exitCode === 0) {
    const last = await readLastVerdict(stackFolder(name, where));
    if (last) say(`Nothing to test again. Verdict of ${last.at}: ${last.verdict}: ${last.reason}`);
  } else if (reason) process.stderr.write(`vexlab: ${reason}\n`);
}
