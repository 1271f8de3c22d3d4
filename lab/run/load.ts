/** Loading the module under test and what it requires, and unloading it again. */
import type { Guest, RunLog } from "./guest.ts";
import type { PlannedModule, RunPlan } from "./plan.ts";

/** Milliseconds for loading or unloading one module; an init or exit that takes longer hangs. */
const moduleCommandMs = 60_000;

/**
 * Loads what the plan says, in its order.
 * @returns one sentence with insmod's or modprobe's own message when one of them fails.
 * @throws GuestError when the guest does not answer.
 */
export async function loadModules(
  guest: Guest,
  plan: RunPlan,
  log: RunLog,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const commands = [
    ...plan.requires.map((name) => ["modprobe", "--", name]),
    ...plan.modules.map(({ file, parameters }) => ["insmod", file, ...parameters]),
  ];
  for (const command of commands) {
    log.write(`$ ${command.join(" ")}`);
    const result = await guest.run(["sudo", "-n", ...command], {
      deadlineMs: moduleCommandMs * (plan.patience ?? 1),
      ...(signal && { signal }),
    });
    if (result.exitCode === 0) continue;
    const said = [result.stderr, result.stdout].join("\n").trim();
    if (said !== "") log.write(said);
    const how = result.signal ?? `exit status ${result.exitCode ?? "unknown"}`;
    // insmod and modprobe name themselves and the module.
    return explained(said.split("\n")[0] || `${command.join(" ")}: ${how}`);
  }
  return undefined;
}

/** With what a person has to know of an error number, who did not write the module. */
function explained(said: string): string {
  // ENODEV is what a driver's init ends with that looks for its device by itself.
  if (/: No such device$/.test(said))
    return `${said} (ENODEV: it found no device of its own in the guest)`;
  return said;
}

/**
 * Unloads the plan's modules, last first. What `modprobe` brought in stays: it belongs to the kernel.
 * @param loaded names of the modules that are loaded.
 * @returns one sentence for each module that stayed.
 * @throws GuestError when the guest does not answer.
 */
export async function unloadModules(
  guest: Guest,
  plan: RunPlan,
  log: RunLog,
  loaded: ReadonlySet<string>,
): Promise<string[]> {
  const problems: string[] = [];
  for (const { name } of plan.modules.filter((each) => loaded.has(each.name)).reverse()) {
    log.write(`$ rmmod ${name}`);
    const problem = await unload(guest, name, moduleCommandMs * (plan.patience ?? 1));
    if (problem === undefined) continue;
    log.write(problem);
    problems.push(problem);
  }
  return problems;
}

async function unload(
  guest: Guest,
  name: PlannedModule["name"],
  deadlineMs: number,
): Promise<string | undefined> {
  const result = await guest.run(["sudo", "-n", "rmmod", name], { deadlineMs });
  if (result.exitCode === 0) return undefined;
  const said = result.stderr.trim().split("\n")[0] ?? "";
  return `module ${name} could not be unloaded: ${said || `exit status ${result.exitCode ?? "unknown"}`}`;
}
