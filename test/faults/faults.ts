/**
 * `npm run faults [-- OPTION… NAME…]`: makes faults in real guests and looks
 * whether vexlab tells them right. On stack `debug`, whose kernel has sanitizers, those are made that it
 * alone notices. Writes `test_results/faults.json`; exits with 1 when one is told wrong.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Option } from "commander";
import { ExitCode } from "../../lab/config/errors.ts";
import { cancellable } from "../../lab/config/cancellation.ts";
import { places } from "../../lab/config/places.ts";
import { patienceFor } from "../../lab/kernel/sanitizers.ts";
import { catalogue, faultNames } from "./catalogue.ts";
import { cellFaults } from "./cellFaults.ts";
import { CellLab } from "./cellLab.ts";
import { FaultLab, standardStack, type Boots } from "./faultLab.ts";
import { toolCommand } from "../toolCommand.ts";
import { judgeCellTold, judgeTold, tableOf, type Told } from "./told.ts";

const say = (text: string): void => void process.stderr.write(`faults: ${text}\n`);

const command = toolCommand("faults", "fault", faultNames)
  .description("makes faults in real guests, and looks whether vexlab tells them right")
  .addOption(new Option("--image <name>", "such as debian-13; default: that of the stack"))
  .addOption(new Option("--kernel <series>", "such as 6.12; default: the image's own"))
  .addOption(
    new Option("--stack <name>", "debug: what only its kernel, which has sanitizers, notices")
      .choices([standardStack, "debug"])
      .default(standardStack),
  )
  .addHelpText(
    "after",
    "VEXLAB_FAULTS_SLACK=3: on a host with other things to do, three times as long",
  )
  .parse();
const positionals = command.args;
const { stack, ...boots } = command.opts<Boots & { stack: string }>();
const isDebug = stack !== standardStack;
/** What the kernel of stack debug looks for, which makes it slower. */
const debugKernel = ["kasan", "kmemleak", "lockdep"] as const;
const noticed = catalogue.filter(({ on }) => on?.["debug"] !== undefined).map(({ name }) => name);
const names = positionals.length > 0 ? positionals : isDebug ? noticed : faultNames;
const chosenOf = <Named extends { readonly name: string }>(all: readonly Named[]): Named[] =>
  names.flatMap((name) => all.filter((fault) => fault.name === name));
process.exitCode = await cancellable((signal) => run(signal)).catch((error: unknown) => {
  say(error instanceof Error ? error.message : String(error));
  return ExitCode.infrastructureFailed;
});

async function run(signal: AbortSignal): Promise<number> {
  // Of a host that has other things to do.
  const slack =
    Number(process.env["VEXLAB_FAULTS_SLACK"] || 1) * (isDebug ? patienceFor(debugKernel) : 1);
  const results: Told[] = [];
  let kernel = "";
  const add = (told: Told): void => {
    results.push(told);
    const count = `${results.length} of ${names.length}`;
    const how = told.wrong.length === 0 ? "right" : `WRONG: ${told.wrong.join("; ")}`;
    say(`${count}: ${told.name}: ${told.verdict}, ${told.seconds} s, ${how}`);
  };
  const inSuites = chosenOf(catalogue);
  const inCell = chosenOf(cellFaults);
  if (inSuites.length > 0)
    await using(
      () => FaultLab.make(signal, boots, undefined, stack),
      signal,
      async (lab) => {
        for (const fault of inSuites) {
          const outcome = await lab.run(fault);
          kernel ||= outcome.report?.kernelRelease ?? "";
          const series = /^\d+\.\d+/.exec(outcome.report?.kernelRelease ?? "")?.[0] ?? "";
          const version = isDebug ? "debug" : series;
          add(judgeTold(fault, outcome, version, slack));
        }
      },
    );
  if (inCell.length > 0 && !signal.aborted)
    await using(
      () => CellLab.make(signal, boots),
      signal,
      async (lab) => {
        for (const fault of inCell) add(judgeCellTold(fault, await lab.run(fault), slack));
      },
    );
  const right = results.filter(({ wrong }) => wrong.length === 0).length;
  const folder = places().results;
  await mkdir(folder, { recursive: true });
  const json = { date: new Date().toISOString(), kernel, slack, right, faults: results };
  await writeFile(join(folder, "faults.json"), `${JSON.stringify(json, null, 2)}\n`);
  process.stdout.write(`${tableOf(results)}\n`);
  for (const { name, wrong } of results)
    for (const each of wrong) process.stdout.write(`${name}: ${each}\n`);
  process.stdout.write(`${right} of ${names.length} faults told right\n`);
  if (signal.aborted) return ExitCode.cancelled;
  return right === names.length ? ExitCode.passed : ExitCode.failed;
}

/** Makes faults in a stack of their own. */
async function using<Lab extends { remove(): Promise<void> }>(
  make: () => Promise<Lab>,
  signal: AbortSignal,
  act: (lab: Lab) => Promise<void>,
): Promise<void> {
  say("building what is missing, starting the stack");
  let lab: Lab | undefined;
  try {
    lab = await make();
    await act(lab);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await lab?.remove();
  }
}
