/**
 * `npm run faults [-- --kernel VERSION] [NAME…]`: makes faults in real guests and looks whether vexlab
 * tells them right. Writes `test_results/faults.json`; exits with 1 when one is told wrong.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ExitCode } from "../../lab/config/errors.ts";
import { cancellable } from "../../lab/config/cancellation.ts";
import { places } from "../../lab/config/places.ts";
import { catalogue } from "./catalogue.ts";
import { FaultLab } from "./faultLab.ts";
import { judgeTold, tableOf, type Told } from "./told.ts";

const say = (text: string): void => void process.stderr.write(`faults: ${text}\n`);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { kernel: { type: "string" } },
});
const unknown = positionals.filter((name) => !catalogue.some((fault) => fault.name === name));
if (unknown.length > 0) {
  say(`no such fault: ${unknown.join(", ")}; there are ${catalogue.map((f) => f.name).join(", ")}`);
  process.exit(ExitCode.usage);
}
const chosen =
  positionals.length === 0
    ? catalogue
    : positionals.flatMap((name) => catalogue.filter((fault) => fault.name === name));
process.exitCode = await cancellable((signal) => run(signal));

async function run(signal: AbortSignal): Promise<number> {
  // Of a host that has other things to do.
  const slack = Number(process.env["VEXLAB_FAULTS_SLACK"] || 1);
  const results: Told[] = [];
  let kernel = "";
  say("building what is missing, starting the stack");
  let lab: FaultLab | undefined;
  try {
    lab = await FaultLab.make(signal, values.kernel);
    for (const fault of chosen) {
      if (signal.aborted) break;
      const outcome = await lab.run(fault);
      kernel ||= outcome.report?.kernelRelease ?? "";
      const version = /^\d+\.\d+/.exec(outcome.report?.kernelRelease ?? "")?.[0] ?? "";
      const told = judgeTold(fault, outcome, version, slack);
      results.push(told);
      const count = `${results.length} of ${chosen.length}`;
      const how = told.wrong.length === 0 ? "right" : `WRONG: ${told.wrong.join("; ")}`;
      say(`${count}: ${fault.name}: ${told.verdict}, ${told.seconds} s, ${how}`);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await lab?.remove();
  }
  const right = results.filter(({ wrong }) => wrong.length === 0).length;
  const folder = places().results;
  await mkdir(folder, { recursive: true });
  const json = { date: new Date().toISOString(), kernel, slack, right, faults: results };
  await writeFile(join(folder, "faults.json"), `${JSON.stringify(json, null, 2)}\n`);
  process.stdout.write(`${tableOf(results)}\n`);
  for (const { name, wrong } of results)
    for (const each of wrong) process.stdout.write(`${name}: ${each}\n`);
  process.stdout.write(`${right} of ${chosen.length} faults told right\n`);
  if (signal.aborted) return ExitCode.cancelled;
  return right === chosen.length ? ExitCode.passed : ExitCode.failed;
}
