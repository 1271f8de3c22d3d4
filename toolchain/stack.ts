/**
 * A stack of this checkout before and around a run of Pulumi: kept to one run at a time, made when
 * it is missing, freed of what a killed run left.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { ExitCode, LabError } from "../lab/config/errors.ts";
import { stackName } from "../lab/config/stackName.ts";
import { domainNameOf, stackFolder, type Places } from "../lab/config/places.ts";
import { connectionUri } from "../lab/hypervisor/connection.ts";
import { virsh } from "../lab/hypervisor/virsh.ts";
import type { Progress } from "../lab/report/progress.ts";
import { removeSiblings } from "../lab/warm/sibling.ts";
import { removeTemplates } from "../lab/warm/template.ts";
import { askPulumi, backendFolder, type Engine } from "./engine.ts";
import { holderOf, tryLock, type HeldLock } from "./lock.ts";
import { endOrphan, endRemains, orphansOf } from "./orphan.ts";
import { removalOf, splitPending, type PendingOperation } from "./pendingOperations.ts";
import { readStackFile, restoreStackFile } from "./stackConfigFile.ts";
import { latestState } from "./stateFile.ts";
import { locksOf, removeLocks } from "./stateLock.ts";
import { findResources, type FoundResources, knownResources, removalOfStrays } from "./strays.ts";

/** The name in Pulumi.yaml. */
export const project = "vexlab";

export interface Stack {
  readonly name: string;
  readonly where: Places;
  readonly engine: Engine;
  readonly environment: NodeJS.ProcessEnv;
  readonly progress: Progress;
  /** Where Pulumi.<stack>.yaml is, if not in the checkout's stacks/. */
  readonly configFolder?: string;
}

/** Checks a stack's name. @throws LabError (exit 2) */
export function checkStackName(name: string): string {
  const checked = stackName().safeParse(name);
  if (checked.success) return checked.data;
  throw new LabError(
    `${JSON.stringify(name)} is not a stack's name; allowed: letters, digits, - _ and ., not beginning with . or -`,
    ExitCode.usage,
  );
}

/** The stack's configuration file. */
export const configFile = ({ where, name, configFolder }: Stack): string =>
  join(configFolder ?? join(where.checkout, "stacks"), `Pulumi.${name}.yaml`);

/** Where Pulumi's program leaves why it failed, for the vexlab that runs it. */
export const faultsFolder = ({ where }: Pick<Stack, "where">): string =>
  join(where.state, "faults");

const stateFile = ({ where, name }: Stack): string =>
  join(backendFolder(where), ".pulumi", "stacks", project, `${name}.json`);

/** Whether Pulumi's state knows the stack. */
export async function stackExists(stack: Stack): Promise<boolean> {
  return (await readFile(stateFile(stack)).catch(() => undefined)) !== undefined;
}

/**
 * Makes the stack if Pulumi's state doesn't know it.
 * @throws LabError (exit 2) when nobody has heard of it: a mistyped name shall not make a stack
 */
export async function ensureStack(stack: Stack): Promise<void> {
  if (await stackExists(stack)) return;
  const before = await readStackFile(configFile(stack));
  if (before === undefined) throw await unknownStack(stack);
  try {
    await askPulumi(
      stack.engine,
      ["stack", "init", stack.name, "--no-select", "--secrets-provider", "passphrase"],
      stack,
    );
  } catch (error) {
    // That of a run that was killed has made it meanwhile.
    if (!(await stackExists(stack))) throw error;
  } finally {
    await restoreStackFile(configFile(stack), before);
  }
  stack.progress.line(`stack ${stack.name} created`);
}

async function unknownStack({ name, where }: Stack): Promise<LabError> {
  const files = await readdir(join(where.checkout, "stacks")).catch(() => []);
  const known = files.flatMap((file) => /^Pulumi\.(.+)\.yaml$/.exec(file)?.[1] ?? []).sort();
  return new LabError(
    `there is no stack ${name}; there are: ${known.join(", ")}`,
    ExitCode.usage,
    `For a new one, write stacks/Pulumi.${name}.yaml; \`config: {}\` is enough.`,
  );
}

/** A stack that belongs to this run until it is released. */
export interface TakenStack extends HeldLock {
  /** A former run was killed: what exists may differ from what Pulumi wrote down. */
  readonly interrupted: boolean;
}

/**
 * Takes the stack for this run.
 *
 * @throws LabError (exit 3) naming the process that has it
 */
export async function takeStack(stack: Stack): Promise<TakenStack> {
  const file = join(stack.where.state, "locks", `${stack.name}.lock`);
  const lock = await tryLock(file);
  if (!lock) throw inUse(stack.name, "vexlab", await holderOf(file));
  try {
    const orphans = await orphansOf(faultsFolder(stack), stack.name);
    for (const pid of orphans) await end(pid, stack);
    await endRemains(faultsFolder(stack));
    const locks = await locksOf(backendFolder(stack.where), project, stack.name);
    const living = locks.find((found) => !found.dead);
    if (living) {
      const elsewhere = `${living.username} on ${living.hostname}, since ${living.timestamp}`;
      throw inUse(stack.name, `pulumi (${elsewhere})`, living.pid);
    }
    await removeLocks(locks);
    if (locks.length > 0) stack.progress.line("the lock of a killed run was removed");
    const pending = await clearLeft(stack);
    return { ...lock, interrupted: orphans.length + locks.length + pending > 0 };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function end(orphan: number, { progress }: Stack): Promise<void> {
  const step = progress.step(`ending Pulumi's process ${orphan}, whose vexlab was killed`);
  if (await endOrphan(orphan)) step.done();
  else step.failed();
}

function inUse(stack: string, program: string, pid: number | undefined): LabError {
  const process = pid === undefined ? "unknown" : String(pid);
  return new LabError(
    `stack ${stack} is in use by another run of ${program}: process ${process}`,
    ExitCode.infrastructureFailed,
    `Wait for it to end, or stop it with: kill -INT ${process}`,
  );
}

/** `vexlab:libvirtUri` of the stack's file, or the default. */
export async function configuredUri(stack: Stack): Promise<string> {
  return (await configuredText(stack, "libvirtUri")) ?? "qemu:///session";
}

/** Whether the stack is one that runs its tests and then stops its guest (`vexlab:mode`). */
export async function isTestStack(stack: Stack): Promise<boolean> {
  return (await configuredText(stack, "mode")) === "test";
}

/** A key of the stack's file, as far as it is text; checking it is the program's business. */
async function configuredText(stack: Stack, key: string): Promise<string | undefined> {
  const text = await readStackFile(configFile(stack));
  let content: unknown;
  try {
    content = parse(text ?? "");
  } catch {
    // Pulumi reports a file that isn't YAML, with the line.
  }
  const config = (content as { config?: Record<string, unknown> } | null | undefined)?.config;
  const value = config?.[`${project}:${key}`];
  return typeof value === "string" ? value : undefined;
}

async function hasPending(stack: Stack): Promise<boolean> {
  const text = await readFile(stateFile(stack), "utf8").catch(() => undefined);
  return (latestState(text).pending_operations?.length ?? 0) > 0;
}

// A domain uses volumes, a volume lies in a pool.
const removalOrder = ["domain", "volume", "pool"];
const rank = (operation: PendingOperation): number =>
  removalOrder.findIndex((kind) => operation.resource.type.includes(`/${kind}:`));

/**
 * Removes what interrupted operations may have made, and the operations from the state.
 * @returns how many there were
 */
async function clearPending(stack: Stack): Promise<number> {
  if (!(await hasPending(stack))) return 0;
  const { engine, name, progress } = stack;
  const text = await askPulumi(engine, ["stack", "export", "--stack", name], stack);
  const { pending, cleared } = splitPending(text);
  const uri = connectionUri(await configuredUri(stack));
  for (const operation of [...pending].sort((a, b) => rank(a) - rank(b))) {
    progress.line(`interrupted while ${operation.type}: ${operation.resource.urn}`);
    for (const args of removalOf(operation)) {
      // Fails where there is nothing to remove.
      await virsh(uri, args).catch(() => undefined);
    }
  }
  await askPulumi(engine, ["stack", "import", "--stack", name], { ...stack, input: cleared });
  progress.line(`${pending.length} interrupted operations cleared`);
  return pending.length;
}

/**
 * Removes what a run that did not end well has left, of a stack that the caller has taken.
 * @returns how many operations Pulumi was in the middle of
 */
export async function clearLeft(stack: Stack): Promise<number> {
  const pending = await clearPending(stack);
  await removeStrays(stack);
  return pending;
}

/** Removes what a failed creation left in libvirt (strays.ts), where libvirt answers at all. */
async function removeStrays(stack: Stack): Promise<void> {
  const uri = connectionUri(await configuredUri(stack));
  const folder = stackFolder(stack.name, stack.where);
  let found: FoundResources;
  try {
    const name = domainNameOf(stack.name);
    [found] = await Promise.all([
      findResources(uri, name, folder),
      removeTemplates(uri),
      removeSiblings({ stackFolder: folder, libvirtUri: uri, name }),
    ]);
  } catch {
    // Pulumi is about to say that libvirt doesn't answer.
    return;
  }
  const known = knownResources(await readFile(stateFile(stack), "utf8").catch(() => undefined));
  for (const args of removalOfStrays(found, known, folder)) {
    const removed = await virsh(uri, args).then(
      () => true,
      () => false,
    );
    if (removed) stack.progress.line(`left of a run that failed, removed: virsh ${args.join(" ")}`);
  }
}
