/** `up` cold and warm, and what a warm stack takes on disk. */
import { execa } from "execa";
import { bareBoot, stockSeconds } from "./bareBoot.ts";
import type { Finding } from "./finding.ts";
import { rounds, say, stack, type Lab } from "./lab.ts";

const coldRounds = rounds(2);
const warmRounds = rounds(3);

/** A cold `up`, against the stock image and against our own image by QEMU alone. */
export async function cold(lab: Lab): Promise<Finding[]> {
  const { image, cloudInit, key } = await lab.prepared();
  const ours: number[] = [];
  const bare: number[] = [];
  for (let round = 1; round <= coldRounds; round++) {
    say(`cold up, round ${round} of ${coldRounds}`);
    ours.push((await lab.timedUp("off")).ready);
    await lab.down();
    say(`our image by QEMU alone, round ${round} of ${coldRounds}`);
    const own = { image, cloudInit, key, announcement: "VEXLAB-READY" };
    bare.push(await bareBoot(lab, { ...own, kernelParameters: ["norandmaps"] }));
  }
  const theirs = await stockSeconds(lab);
  return [
    { what: "cold up → ready / stock image", unit: "s", ours, theirs, goal: 0.6 },
    { what: "cold up → ready / our image", unit: "s", ours, theirs: bare, goal: 1.15 },
  ];
}

/** `up` with a warm image there. */
export async function warm(lab: Lab): Promise<Finding[]> {
  const ready: number[] = [];
  const whole: number[] = [];
  for (let round = 1; round <= warmRounds; round++) {
    say(`warm up, round ${round} of ${warmRounds}`);
    const seconds = await lab.timedUp("auto");
    ready.push(seconds.ready);
    whole.push(seconds.whole);
  }
  const theirs = await stockSeconds(lab);
  return [
    { what: "warm up → ready / stock image", unit: "s", ours: ready, theirs, goal: 0.1 },
    { what: "warm up, tests included → its end", unit: "s", ours: whole },
  ];
}

/** Blocks, since the disks are sparse. */
export async function disk(lab: Lab): Promise<Finding[]> {
  await lab.timedUp("auto");
  const folder = lab.checkout.path(`.vexlab/stacks/${stack}`);
  const { stdout } = await execa("du", ["--summarize", "--one-file-system", "-B1", folder]);
  const ours = [Number(stdout.split("\t")[0]) / 1e6];
  return [{ what: "disk of a stack just after a warm up", unit: "MB", ours, goal: 50 }];
}
