/** Where the seconds of a cold boot go, as the guest itself accounts for them. */
import { milestoneOf } from "../lab/console/bootProgress.ts";
import { expectExit } from "../test/e2e/support/checkout.ts";
import type { Finding } from "./finding.ts";
import { say, stack, type Lab } from "./lab.ts";

/** Units and modules that took less than the others are left out. */
const shown = 14;

export async function boot(lab: Lab): Promise<Finding[]> {
  say("a cold up, and what the guest says about its boot");
  await lab.timedUp("off");
  const ask = async (command: string): Promise<string> =>
    expectExit(await lab.checkout.ssh(stack, command), 0).stdout;
  const milestones = await ask("sudo journalctl --boot --output=short-monotonic --no-pager");
  const units = await ask("systemd-analyze blame --no-pager");
  const modules = await ask("cloud-init analyze blame");
  const finding = (what: string, phases: Record<string, number>, whole: number): Finding => {
    return { what, unit: "s", ours: [whole], phases };
  };
  const reached = milestonesOf(milestones);
  const sum = (phases: Record<string, number>): number =>
    Object.values(phases).reduce((total, each) => total + each, 0);
  const cloudInit = longest(modules, /^\s*(?<time>[\d.]+s) \((?<name>[^)]+)\)/);
  return [
    finding("boot: the kernel's clock at", reached, Math.max(...Object.values(reached))),
    finding(
      "boot: units, many side by side",
      longest(units, /^\s*(?<time>.+s) (?<name>\S+)$/),
      Math.max(...Object.values(reached)),
    ),
    finding("boot: cloud-init's modules", cloudInit, sum(cloudInit)),
  ];
}

/** Seconds of the guest's clock by milestone; `[    1.234567] host who: text` a line. */
function milestonesOf(journal: string): Record<string, number> {
  const reached: Record<string, number> = {};
  for (const line of journal.split("\n")) {
    const [, clock, who = "", text = ""] = /^\[\s*([\d.]+)\] \S+ (\S+?): (.*)$/.exec(line) ?? [];
    const milestone = milestoneOf(text) ?? milestoneOf(`${who}: ${text}`);
    if (clock !== undefined && milestone !== undefined) reached[milestone] ??= Number(clock);
  }
  return reached;
}

/** Seconds by name, the longest first. */
function longest(text: string, form: RegExp): Record<string, number> {
  const found = text.split("\n").flatMap((line) => {
    const { time, name } = form.exec(line)?.groups ?? {};
    return time !== undefined && name !== undefined ? [[name, secondsOf(time)] as const] : [];
  });
  return Object.fromEntries(found.toSorted(([, a], [, b]) => b - a).slice(0, shown));
}

/** Of systemd's time spans (systemd.time(7)) such as `1min 2.345s` and `340ms`. */
function secondsOf(span: string): number {
  const units: Readonly<Record<string, number>> = { min: 60, s: 1, ms: 0.001 };
  return [...span.matchAll(/([\d.]+)(min|ms|s)/g)].reduce(
    (total, [, number, unit = ""]) => total + Number(number) * (units[unit] ?? 0),
    0,
  );
}
