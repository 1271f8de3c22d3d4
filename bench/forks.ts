/** Reset, and several guests at once: measured within one process, as a session of vexlab's has it. */
import { expectExit } from "../test/e2e/support/checkout.ts";
import type { Finding } from "./finding.ts";
import { stockSeconds } from "./bareBoot.ts";
import { rounds, say, stack, type Lab } from "./lab.ts";

const resetRounds = rounds(5);
const forkRounds = rounds(3);
/** MB of memory that a further guest may have of its own. */
const memoryLimit = 200;

async function inside(lab: Lab, what: string, count: number): Promise<unknown> {
  lab.signal.throwIfAborted();
  const { checkout } = lab;
  const script = checkout.path("bench/inside.ts");
  const loader = checkout.path("node_modules/tsx/dist/esm/index.mjs");
  const argv = ["node", "--import", loader, script, what, String(count)];
  const { stdout } = expectExit(await checkout.run(argv), 0);
  const figures = stdout.trim().split("\n").at(-1) ?? "";
  say(`${what}: ${figures}`);
  return JSON.parse(figures) as unknown;
}

/** From the start of a reset to the first output of a command in the guest. */
export async function reset(lab: Lab): Promise<Finding[]> {
  await lab.up();
  say(`reset, ${resetRounds} rounds`);
  const ours = (await inside(lab, "reset", resetRounds)) as number[];
  const command: number[] = [];
  for (let round = 0; round < resetRounds; round++)
    command.push((await lab.vexlab("reset", stack)).seconds);
  const standby = (await inside(lab, "standby", resetRounds)) as number[];
  const theirs = await stockSeconds(lab);
  const standing = "a guest that stands by → a command's output / stock image";
  return [
    { what: standing, unit: "s", ours: standby, theirs, goal: 0.015 },
    { what: "reset → a command's output / stock image", unit: "s", ours, theirs, goal: 0.035 },
    { what: "vexlab reset, the whole command", unit: "s", ours: command, theirs },
  ];
}

/** Four forks of one warm image at once, against one. */
export async function four(lab: Lab): Promise<Finding[]> {
  await lab.up();
  // The stack's own guest would take its share of the processors.
  await lab.vexlab("vm", "stop", "--stack", stack);
  try {
    say(`one and four forks, ${forkRounds} rounds`);
    const figures = await inside(lab, "four", forkRounds);
    const { one, four: ours, memory } = figures as Record<"one" | "four" | "memory", number[]>;
    const what = "memory of its own of each of the four";
    return [
      { what: "four guests answer / one", unit: "s", ours, theirs: one, goal: 2 },
      { what, unit: "MB", ours: memory, goal: memoryLimit },
    ];
  } finally {
    // Other rows want the guest as `up` leaves it.
    await lab.down();
  }
}
