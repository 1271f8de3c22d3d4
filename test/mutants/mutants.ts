/**
 * `npm run mutants [-- OPTION… NAME…]`: does the example's test suite find bugs? Puts one bug after
 * the other into a scratch copy, runs the suites in a guest, and tells which case caught it. Writes
 * `test_results/mutants.json`; the last line is `caught N of M`. docs/mutants.md describes it.
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { places } from "../../lab/config/places.ts";
import { stopSignal } from "../e2e/support/stopSignal.ts";
import { toolCommand } from "../toolCommand.ts";
import { BuildFailure, MutantLab } from "./lab.ts";
import { parseMutant, type Mutant } from "./mutant.ts";
import {
  catchOf,
  caught,
  detailOf,
  isCaught,
  isTelling,
  suitesFor,
  summary,
  wordOf,
  type Outcome,
  type Result,
} from "./outcome.ts";

const say = (text: string): void => void process.stderr.write(`mutants: ${text}\n`);

/** Ends the program for a mistake of its user. */
function refuse(...lines: string[]): never {
  for (const line of lines) say(line);
  process.exit(2);
}

const all = await readMutants().catch((error: unknown) => refuse(messageOf(error)));
const command = toolCommand(
  "mutants",
  "mutant",
  all.map(({ name }) => name),
)
  .description("puts one bug after the other into a copy of the example; does its suite find them?")
  .option("--named-only", "only the suites that a mutant names, not the others when these pass")
  .option("--no-baseline", "without the suites on the unchanged example before")
  .option("--list", "name the mutants and what kinds of bugs they are")
  .parse();
const names = command.args;
const options = command.opts<{ namedOnly?: boolean; baseline: boolean; list?: boolean }>();
const chosen = all.filter(({ name }) => names.length === 0 || names.includes(name));
if (options.list) {
  for (const { name, kind } of chosen) process.stdout.write(`${name}: ${kind}\n`);
  process.exit(0);
}

const signal = stopSignal();
const results: Result[] = [];
const lab = await MutantLab.make(signal);
const misfits = await lab.misfits(chosen);
const failure = await (misfits.length === 0 ? run() : Promise.resolve())
  .then(() => undefined, messageOf)
  .finally(async () => {
    const left = await lab.remove();
    if (left !== undefined) say(left);
  });
if (misfits.length > 0) refuse(...misfits);
if (failure !== undefined) say(failure);
await writeResults();
const { table, line, isEnough } = summary(results);
process.stdout.write(`${table}\n${line}\n`);
process.exit(signal.aborted ? 130 : failure === undefined && isEnough ? 0 : 1);

/** All mutants, by their names. @throws Error for what is no mutant */
async function readMutants(): Promise<Mutant[]> {
  const folder = fileURLToPath(new URL(".", import.meta.url));
  const files = (await readdir(folder)).filter((file) => file.endsWith(".patch")).sort();
  return Promise.all(
    files.map(async (file) =>
      parseMutant(file.slice(0, -".patch".length), await readFile(join(folder, file), "utf8")),
    ),
  );
}

async function run(): Promise<void> {
  say("bringing the stack up");
  await lab.up();
  if (options.baseline) await baseline();
  for (const [index, mutant] of chosen.entries()) {
    say(`${index + 1} of ${chosen.length}, ${mutant.name}: ${mutant.kind}`);
    const began = performance.now();
    const outcome = await outcomeOf(mutant);
    results.push({ mutant, outcome, seconds: (performance.now() - began) / 1000 });
    say(`${mutant.name}: ${wordOf(outcome)} ${detailOf(outcome)}`.trim());
  }
}

/** What fails without a mutant catches none. */
async function baseline(): Promise<void> {
  const used = (suite: string): boolean =>
    !options.namedOnly ||
    chosen.some(({ smoke, caughtBy }) => [smoke, ...caughtBy].some((each) => each.suite === suite));
  say("the unchanged example");
  const { verdict, reason } = await lab.test(lab.suites.filter(used));
  if (verdict !== "passed") throw new Error(`the unchanged example does not pass: ${reason}`);
}

async function outcomeOf(mutant: Mutant): Promise<Outcome> {
  try {
    return await lab.with(mutant, () => judged(mutant));
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof BuildFailure) return { kind: "bad", why: error.message };
    return { kind: "unknown", why: messageOf(error) };
  }
}

async function judged(mutant: Mutant): Promise<Outcome> {
  const { suite, name } = mutant.smoke;
  const smoke = await lab.test([suite], "--case", name);
  if (!isTelling(smoke)) return { kind: "unknown", why: smoke.reason };
  if (smoke.verdict !== "passed")
    return { kind: "bad", why: `its happy path fails: ${smoke.reason}` };
  const { named, others } = suitesFor(mutant, lab.suites);
  for (const suites of options.namedOnly ? [named] : [named, others]) {
    if (suites.length === 0) continue;
    const report = await lab.test(suites);
    if (!isTelling(report)) return { kind: "unknown", why: report.reason };
    const by = catchOf(report);
    if (by !== undefined) return caught(mutant, by);
  }
  return { kind: "escaped" };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function writeResults(): Promise<void> {
  const json = {
    date: new Date().toISOString(),
    namedOnly: options.namedOnly ?? false,
    ...(failure !== undefined && { failure }),
    caught: results.filter(isCaught).length,
    of: results.length,
    mutants: results.map(({ mutant: { name, kind, effect, file }, outcome, seconds }) => ({
      ...{ name, kind, effect, file, outcome },
      seconds: Math.round(seconds),
    })),
  };
  const folder = places().results;
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "mutants.json"), `${JSON.stringify(json, null, 2)}\n`);
}
