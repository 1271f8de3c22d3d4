/**
 * `npm run bench [-- ROW…]`: what vexlab's speed claims rest on. Each claim is a ratio of two
 * measurements of the same run, since seconds depend on the host; the seconds are printed beside it.
 * Writes `test_results/bench.json`; exits with 1 when a goal is missed or a row fails. Nothing else
 * should run meanwhile. docs/benchmarks.md says how each row is measured.
 */
import { cpus, totalmem } from "node:os";
import { execa } from "execa";
import { places } from "../lab/config/places.ts";
import { stopSignal } from "../test/e2e/support/stopSignal.ts";
import { toolCommand } from "../test/toolCommand.ts";
import { stock } from "./bareBoot.ts";
import { boot } from "./boot.ts";
import { build } from "./build.ts";
import { hello, vexfs } from "./edit.ts";
import { engine } from "./engine.ts";
import { report, type Finding, type RowResult } from "./finding.ts";
import { four, reset } from "./forks.ts";
import { Lab, say } from "./lab.ts";
import { cold, disk, warm } from "./warm.ts";

/** In the order in which they need the fewest starts of the stack. */
const rows: Readonly<Record<string, (lab: Lab) => Promise<Finding[]>>> = {
  ...{ stock, cold, boot, warm, disk, reset, hello, vexfs, engine, build, four },
};

const { args: chosen } = toolCommand("bench", "row", Object.keys(rows))
  .description("measures what the speed claims rest on; nothing else should run meanwhile")
  .addHelpText("after", "VEXLAB_BENCH_ROUNDS=1: a quick run, of which the figures mean little")
  .parse();

const stop = stopSignal();

const names = Object.keys(rows).filter((name) => chosen.length === 0 || chosen.includes(name));
const results = await measure(names);
const { table, met } = await report(results, await host(), places().results);
process.stdout.write(`${table}\n`);
process.exit(stop.aborted ? 130 : met ? 0 : 1);

async function measure(wanted: readonly string[]): Promise<RowResult[]> {
  const lab = await Lab.make(stop);
  const done: RowResult[] = [];
  try {
    for (const row of wanted) {
      if (stop.aborted) break;
      const began = performance.now();
      const result = await findings(row, lab);
      const seconds = Math.round((performance.now() - began) / 100) / 10;
      done.push({ row, seconds, ...result });
      say(`${row}: ${result.error ?? "done"} (${seconds} s)`);
    }
  } finally {
    await lab.remove();
  }
  return done;
}

/** One row that fails doesn't keep the others from being measured. */
async function findings(row: string, lab: Lab): Promise<Pick<RowResult, "findings" | "error">> {
  try {
    return { findings: (await rows[row]?.(lab)) ?? [] };
  } catch (error) {
    return { findings: [], error: error instanceof Error ? error.message : String(error) };
  }
}

async function host(): Promise<Record<string, string | number>> {
  const { stdout } = await execa("qemu-system-x86_64", ["--version"]);
  return {
    date: new Date().toISOString(),
    cpus: cpus().length,
    cpu: cpus()[0]?.model ?? "unknown",
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    qemu: stdout.split("\n")[0] ?? "",
  };
}
