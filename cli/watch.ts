/** `vexlab watch [suite…]`: the verdict on the sources, again at each change of them. */
import { type Command, Option } from "commander";
import { watchSources } from "../lab/build/watchSources.ts";
import { cancellable } from "../lab/config/cancellation.ts";
import { ExitCode, LabError } from "../lab/config/errors.ts";
import { verbInput } from "../lab/config/verbInput.ts";
import { terminalProgress } from "../lab/report/progress.ts";
import type { RunReport } from "../lab/run/verdict.ts";
import { NextFork } from "../lab/warm/nextFork.ts";
import { addScopeOptions, scopeOf, scopeOfFlags, type ScopeFlags } from "./runOptions.ts";
import { watchInput } from "./test.ts";
import { printReport, stackConfig, testOnce, type TestInput } from "./testOnce.ts";

export function register(program: Command): void {
  const command = program
    .command("watch")
    .argument("[suites...]", "suites of the manifest; all by default")
    .description("test the module as `test` does, again at each change of its sources")
    .addOption(new Option("--stack <name>", "the stack whose guest is forked").default("dev"));
  addScopeOptions(command).action(
    async (suites: string[], flags: ScopeFlags & { readonly stack: string }) => {
      const input = verbInput("watch", watchInput, undefined, scopeOfFlags(flags, suites));
      const { stack, jobs } = input;
      // One seed for all turns: what failed is tested in the order in which it failed.
      const request = { stack, jobs, ...scopeOf(input) };
      await cancellable((signal) => watch(request, signal));
      process.exitCode = ExitCode.cancelled;
    },
  );
}

/** Tests at once and at each change, until the signal. A change ends the run of what it replaces. */
async function watch(input: TestInput, signal: AbortSignal): Promise<void> {
  const { source } = await stackConfig(input.stack);
  let stale = new AbortController();
  let run: Promise<void> = Promise.resolve();
  let first: readonly string[] = [];
  const forks = new NextFork();
  try {
    // The sources as they are now are the first change.
    for await (const change of watchSources(source, { since: "", signal })) {
      stale.abort();
      await run;
      if ("mistake" in change) {
        say(change.mistake.message);
        continue;
      }
      stale = new AbortController();
      const stop = AbortSignal.any([signal, stale.signal]);
      run = turn({ ...input, first }, stop, forks).then((failed) => {
        first = failed ?? first;
      });
    }
  } finally {
    stale.abort();
    await run;
    await forks.close();
  }
}

/** @returns the suites that failed; undefined when that is not known */
async function turn(
  input: TestInput,
  signal: AbortSignal,
  forks: NextFork,
): Promise<readonly string[] | undefined> {
  try {
    const report = await testOnce(input, terminalProgress(), signal, forks);
    if (signal.aborted) return undefined;
    printReport(report, false);
    say("waiting for changes; Ctrl-C ends");
    return report.verdict === "passed" ? [] : failedSuites(report);
  } catch (error) {
    if (signal.aborted) return undefined;
    if (!(error instanceof LabError)) throw error;
    say([error.message, error.next].filter(Boolean).join("\n"));
    say("waiting for changes; Ctrl-C ends");
    return undefined;
  }
}

function failedSuites({ suites }: RunReport): string[] {
  return suites
    .filter(
      ({ cases, problems, ending }) =>
        ending !== "exited" ||
        problems.length > 0 ||
        cases.some(({ outcome }) => outcome === "failed" || outcome === "timedOut"),
    )
    .map(({ name }) => name);
}

function say(text: string): void {
  process.stderr.write(`vexlab: ${text}\n`);
}
