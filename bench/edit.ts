/** From an edit of one line to the verdict of a fresh kernel. */
import { writeFile } from "node:fs/promises";
import type { RunReport } from "../lab/run/verdict.ts";
import { median, type Finding } from "./finding.ts";
import { rounds, say, stack, type Lab } from "./lab.ts";
import { VirtmeNg } from "./virtmeNg.ts";

const turns = rounds(5);
const source = "bench/hello";
const editLine = /^#define EDIT ".*"$/m;

type Turn = Pick<RunReport, "verdict" | "phases" | "reason">;

/** One turn of the loop: its seconds and its phases. @throws Error unless it passed */
async function turn(lab: Lab, suites: readonly string[], phases: Record<string, number[]>) {
  const { seconds, stdout } = await lab.vexlab("test", "--stack", stack, "--json", ...suites);
  const report = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Turn;
  if (report.verdict !== "passed") throw new Error(`${report.verdict}: ${report.reason}`);
  for (const { name, milliseconds } of report.phases ?? [])
    (phases[name] ??= []).push(milliseconds / 1000);
  return seconds;
}

function medians(phases: Readonly<Record<string, number[]>>): Record<string, number> {
  return Object.fromEntries(Object.entries(phases).map(([name, all]) => [name, median(all)]));
}

/** A module of a few lines, in turns with virtme-ng. */
export async function hello(lab: Lab): Promise<Finding[]> {
  const { image } = await lab.up();
  const { checkout } = lab;
  say("virtme-ng: install what is missing");
  const virtmeNg = await VirtmeNg.install(lab, image);
  await checkout.configure(stack, { source });
  try {
    const text = await checkout.read(`${source}/hello.c`);
    const edited = (what: string): string => text.replace(editLine, `#define EDIT "${what}"`);
    await virtmeNg.begin(checkout.path(source));
    const ours: number[] = [];
    const theirs: number[] = [];
    const phases: Record<string, number[]> = {};
    const build: number[] = [];
    const boot: number[] = [];
    // The first turn of each builds everything, which no edit does; it isn't counted.
    for (let round = 0; round <= turns; round++) {
      say(round === 0 ? "hello: first builds" : `hello, round ${round} of ${turns}`);
      await checkout.write(`${source}/hello.c`, edited(`vexlab ${round}`));
      const seconds = await turn(lab, [], round === 0 ? {} : phases);
      if (round > 0) ours.push(seconds);
      // The stack's guest idles during both.
      await writeFile(virtmeNg.file("hello.c"), edited(`virtme-ng ${round}`));
      if (round === 0) {
        await virtmeNg.build();
        continue;
      }
      const other = await virtmeNg.turn();
      theirs.push(other.build + other.boot);
      build.push(other.build);
      boot.push(other.boot);
    }
    const what = "hello: edit → verdict / virtme-ng";
    return [
      { what, unit: "s", ours, theirs, goal: 0.25, phases: medians(phases) },
      { what: "of virtme-ng's: build", unit: "s", ours: build },
      { what: "of virtme-ng's: boot and check", unit: "s", ours: boot },
    ];
  } finally {
    await checkout.configure(stack, { source: undefined });
    await virtmeNg.remove();
  }
}

/** The example's module: no goal, but its phases. */
export async function vexfs(lab: Lab): Promise<Finding[]> {
  await lab.up();
  const file = "examples/vexfs/kernel/super.c";
  const text = await lab.checkout.read(file);
  const ours: number[] = [];
  const phases: Record<string, number[]> = {};
  try {
    for (let round = 1; round <= turns; round++) {
      say(`vexfs, round ${round} of ${turns}`);
      const comment = `/* bench: round ${round} */\nMODULE_LICENSE`;
      await lab.checkout.write(file, text.replace("MODULE_LICENSE", comment));
      ours.push(await turn(lab, ["module-operations"], phases));
    }
  } finally {
    await lab.checkout.write(file, text);
  }
  const what = "vexfs: edit → verdict of module-operations";
  return [{ what, unit: "s", ours, phases: medians(phases) }];
}
