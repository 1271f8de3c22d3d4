/**
 * SIGKILL at random moments of `up`, `test` and `destroy`, of vexlab's own process or of Pulumi's, never
 * of their whole group: what they have started lives on as it may. The next `up` works all the same, and
 * `destroy` leaves nothing. VEXLAB_KILLS for another number, VEXLAB_SEED for the same moments again.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectExit } from "../e2e/support/checkout.ts";
import { KillLab, type Victim } from "./killLab.ts";
import { fractionOf } from "./random.ts";

const kills = Number(process.env["VEXLAB_KILLS"] ?? 50);
const seed = Number(process.env["VEXLAB_SEED"] || Date.now() % 1_000_000);
const killMs = 8 * 60_000;
const sshPort = 2984;

/** What is killed, in turn: each leaves the stack as the next one needs it. */
const verbs = ["up", "test", "destroy"] as const;

let lab: KillLab;

beforeAll(async () => {
  console.log(`seed ${seed}: VEXLAB_SEED=${seed} gives the same moments again`);
  lab = await KillLab.make(sshPort);
  // How long each takes undisturbed.
  for (const verb of verbs) expectExit(await lab.run(verb), 0);
  expect(await lab.left()).toEqual([]);
});

afterAll(async () => {
  await lab.remove();
});

test(`${kills} times SIGKILL, and all is well again`, { timeout: kills * killMs }, async () => {
  const wrong: string[] = [];
  for (let number = 0; number < kills; number++) {
    const verb = verbs[number % verbs.length] ?? "up";
    const random = (what: string): number => fractionOf(`${seed} ${number} ${what}`);
    // Pulumi has no part in `test`.
    const victim: Victim = verb === "test" || random("victim") < 0.5 ? "vexlab" : "pulumi";
    const killed = await lab.kill(verb, victim, random("moment"));
    const name = `kill ${number + 1} of ${kills}: ${victim} ${killed}`;
    const found: string[] = [];
    // Half of the destroys are finished by the next one, half are thought better of.
    if (verb !== "destroy" || random("next") < 0.5) found.push(...(await lab.works("up")));
    if (verb === "test") found.push(...(await lab.forks()));
    if (verb === "destroy") {
      found.push(...(await lab.works("destroy")));
      found.push(...(await lab.left()));
    }
    console.log(`${name}: ${found.length === 0 ? "all well" : found.join("\n")}`);
    wrong.push(...found.map((each) => `${name}: ${each}`));
  }
  expectExit(await lab.run("destroy"), 0);
  wrong.push(...(await lab.left()));
  expect(wrong, `seed ${seed}`).toEqual([]);
});
