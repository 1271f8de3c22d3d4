/**
 * A warm start of a stack's own guest: Pulumi's domain, which was defined to boot cold, is started
 * from a warm image under the same name and with the same disks. When anything about that fails, the
 * domain boots cold from fresh disks, and the reason is told.
 */
import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { execa } from "execa";
import { ExitCode, LabError } from "../config/errors.ts";
import { controlSocket, daemonFolder } from "../config/places.ts";
import { readDocuments } from "../guest/cloudInitDisk.ts";
import { startDomain } from "../guest/power.ts";
import { parseHostKey, pinHostKeys } from "../guest/knownHosts.ts";
import { forgetHostKey, writeGuestRecord } from "../guest/record.ts";
import { diskNames } from "../hypervisor/diskNames.ts";
import { readDefinition, topologyOf, type DefinitionFacts } from "../hypervisor/forkXml.ts";
import { powerOff } from "../hypervisor/powerOff.ts";
import { virsh } from "../hypervisor/virsh.ts";
import { openImage, type Image } from "../image/image.ts";
import { patienceFor, sanitizersOf } from "../kernel/sanitizers.ts";
import { takeLock } from "../image/lock.ts";
import type { Progress } from "../report/progress.ts";
import { splitDocuments, type DocumentIdentity } from "./documents.ts";
import { identify, overlay, startFork } from "./fork.ts";
import { warmKey, type WarmKeyParts } from "./key.ts";
import { makeWarmImage, restMs, settleScript } from "./template.ts";
import {
  holdWarmImage,
  openWarmImage,
  releaseOtherWarmImages,
  warmImageUsers,
  warmFolder,
  type WarmImage,
} from "./warmImage.ts";

export interface StackGuest {
  readonly stackFolder: string;
  /** libvirt's UUID or name of the stack's domain. */
  readonly domain: string;
  /** As libvirt's clients take it. */
  readonly libvirtUri: string;
  readonly user: string;
  readonly consoleFile: string;
  /** Milliseconds for the boot of a guest that is to be saved. */
  readonly bootMs: number;
}

/** How a guest was started: from a warm image, or cold and why. */
export type StartOutcome = { readonly warm: WarmImage } | { readonly cold: string };

/** The domain that Pulumi defined: its XML, and what that says. */
interface Defined {
  readonly definition: string;
  readonly facts: DefinitionFacts;
}

/** What a warm image for a stack is made from and looked up by. */
export interface StackDefinition extends Defined {
  readonly key: string;
  readonly parts: WarmKeyParts;
  readonly imageDisk: string;
  readonly identity: DocumentIdentity;
}

const lockSeconds = 15 * 60;
const diskMs = 20_000;

async function readDefined({
  libvirtUri,
  domain,
}: Pick<StackGuest, "libvirtUri" | "domain">): Promise<Defined> {
  const definition = await virsh(libvirtUri, ["dumpxml", "--inactive", domain]);
  return { definition, facts: readDefinition(definition) };
}

/**
 * Reads what Pulumi made of the stack.
 * @throws LabError when its domain can't be saved or resumed, with the reason
 */
export async function describeStack(
  guest: StackGuest,
  defined?: Defined,
): Promise<StackDefinition> {
  const { libvirtUri, stackFolder, user } = guest;
  const { definition, facts } = defined ?? (await readDefined(guest));
  refuseWithoutChannel(facts);
  const { imageFolder: image, emulator } = facts;
  const disk = (file: string): string => join(stackFolder, "pool", file);
  const [documents, rootBytes, testBytes, version, changed, libvirt] = await Promise.all([
    readDocuments(disk(diskNames.cloudInit)),
    virtualBytes(disk(diskNames.root)),
    virtualBytes(disk(diskNames.test)),
    execa(emulator, ["--version"], { stdin: "ignore", timeout: diskMs }),
    stat(emulator),
    virsh(libvirtUri, ["version"]),
  ]);
  const { neutral, identity } = splitDocuments(documents, user);
  const parts: WarmKeyParts = {
    topology: topologyOf(definition),
    imageId: basename(image),
    rootBytes,
    testBytes,
    documents: neutral,
    emulator: `${version.stdout} ${changed.mtimeMs}`,
    libvirt,
    preparation: `${settleScript}${restMs}`,
  };
  const key = warmKey(parts);
  const imageDisk = join(image, diskNames.root);
  return { definition, facts, key, parts, imageDisk, identity };
}

function refuseWithoutChannel({ hasControlChannel }: DefinitionFacts): void {
  if (hasControlChannel) return;
  throw new LabError("the domain has no channel to vexlab's agent", ExitCode.infrastructureFailed);
}

/**
 * The image that the domain of a stack boots, checked; whether it can be saved or not.
 * @throws DamagedImage
 */
export async function imageOf(guest: Pick<StackGuest, "libvirtUri" | "domain">): Promise<Image> {
  return imageIn((await readDefined(guest)).facts);
}

function imageIn({ imageFolder: folder }: DefinitionFacts): Promise<Image> {
  // In the cache that the stack was made with.
  return openImage(basename(folder), dirname(dirname(folder)));
}

/** By how much longer a domain's boot may take than that of a kernel without sanitizers. */
export async function bootPatience(
  guest: Pick<StackGuest, "libvirtUri" | "domain">,
): Promise<number> {
  try {
    return patienceFor(await sanitizersOf(await imageOf(guest)));
  } catch (error) {
    // What is wrong with the image is told where the image is needed.
    if (error instanceof LabError) return 1;
    throw error;
  }
}

/**
 * The warm image of a stack, made when there is none; by one process, while others wait.
 * @param options.replacesDisks the stack's own disks are about to be made anew
 * @throws LabError
 */
export async function ensureWarmImage(
  guest: StackGuest,
  described: StackDefinition,
  progress: Progress,
  options: { readonly replacesDisks: boolean; readonly signal?: AbortSignal | undefined },
): Promise<WarmImage> {
  const { key } = described;
  const { signal, replacesDisks } = options;
  // Said before it is looked for: what is found is then not removed any more.
  await holdWarmImage(key, guest.stackFolder);
  const found = await openWarmImage(key);
  if (found) return found;
  const lock = await takeLock(join(warmFolder(), `${key}.lock`), {
    deadlineSeconds: lockSeconds,
    signal,
    onWait: (holder) =>
      progress.line(`process ${holder?.pid ?? "unknown"} makes the warm image; waiting for it`),
  });
  try {
    const meanwhile = await openWarmImage(key);
    if (meanwhile) return meanwhile;
    await refuseIfUsed(key, replacesDisks ? guest.stackFolder : undefined);
    const { parts, definition, imageDisk } = described;
    await makeWarmImage(
      {
        key,
        definition,
        imageDisk,
        imageId: parts.imageId,
        documents: parts.documents,
        rootBytes: parts.rootBytes,
        testBytes: parts.testBytes,
        libvirtUri: guest.libvirtUri,
        user: guest.user,
        sockets: daemonFolder(),
        bootMs: guest.bootMs * (await bootPatience(guest)),
      },
      progress,
      signal,
    );
    const made = await openWarmImage(key);
    if (made) return made;
    throw new LabError(
      `the warm image ${key} was removed while it was made`,
      ExitCode.infrastructureFailed,
    );
  } finally {
    await lock.release();
  }
}

/** A damaged image is made anew only when no disk lies over it: it would lie over other content. */
async function refuseIfUsed(key: string, except: string | undefined): Promise<void> {
  if (!existsSync(join(warmFolder(), key))) return;
  const users = (await warmImageUsers(key)).filter((folder) => folder !== except);
  if (users.length === 0) return;
  throw new LabError(
    `the warm image ${key} is damaged, and the disks of ${users.map((each) => basename(each)).join(", ")} lie over it`,
    ExitCode.infrastructureFailed,
    "Reset these stacks (vexlab reset STACK) or destroy them; then it is made anew.",
  );
}

export interface WarmStartOptions {
  readonly signal?: AbortSignal;
  /** Called while QEMU starts: for work of the caller's that would have to be done afterwards. */
  readonly beside?: () => void;
}

/**
 * Starts the stack's guest from a warm image, whatever it was doing; its disks are then as just
 * after a boot. One that was started warm is ready, its host key pinned, and it has announced on its
 * console what it would have after a boot; one that was started cold is still booting.
 * @throws DamagedImage, without having touched it; LabError when it couldn't be started cold either, or
 * the signal aborted
 */
export async function warmStart(
  guest: StackGuest,
  progress: Progress,
  { signal, beside }: WarmStartOptions = {},
): Promise<StartOutcome> {
  const defined = await readDefined(guest);
  const { facts } = defined;
  const describing = describeStack(guest, defined);
  describing.catch(() => undefined);
  await imageIn(facts);
  let described: StackDefinition | undefined;
  try {
    // A guest that can't be saved is not disturbed: it may be in the middle of its first boot.
    refuseWithoutChannel(facts);
    // Its end takes a while. The new disks may come before it, since it keeps the files that it has open.
    const ending = powerOff(guest.libvirtUri, facts.name);
    described = await describing;
    let warm = await disksOfWarmImage(guest, described);
    await ending;
    if (warm === undefined) {
      // The processors and the memory of the guest are needed for booting the one that is saved.
      const options = { replacesDisks: true, signal };
      warm = await ensureWarmImage(guest, described, progress, options);
      await layOver(warm, guest);
    }
    const starting = startFrom(warm, guest, described, progress, signal);
    beside?.();
    await starting;
    return { warm };
  } catch (error) {
    if (signal?.aborted || !(error instanceof Error)) throw error;
    const reason = error.message.split("\n")[0] ?? error.message;
    progress.line(`no warm start: ${reason}; booting cold`);
    if (facts.hasControlChannel) await powerOff(guest.libvirtUri, facts.name);
    if (described) await freshDisks(guest, described);
    await startDomain(guest.libvirtUri, guest.domain);
    return { cold: reason };
  }
}

/** The warm image of a stack, when there is one, with the stack's disks already over it. */
async function disksOfWarmImage(
  guest: StackGuest,
  { key }: StackDefinition,
): Promise<WarmImage | undefined> {
  // Said before it is looked for: what is found is then not removed any more.
  await holdWarmImage(key, guest.stackFolder);
  const warm = await openWarmImage(key);
  if (warm) await layOver(warm, guest);
  return warm;
}

async function layOver(warm: WarmImage, { stackFolder }: StackGuest): Promise<void> {
  const pool = join(stackFolder, "pool");
  await Promise.all([
    overlay(warm.rootDisk, join(pool, diskNames.root)),
    overlay(warm.testDisk, join(pool, diskNames.test)),
  ]);
}

/** @param warm with the stack's disks already over it */
async function startFrom(
  warm: WarmImage,
  guest: StackGuest,
  described: StackDefinition,
  progress: Progress,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { stackFolder, consoleFile, libvirtUri, user } = guest;
  const { definition, facts, identity } = described;
  const { name, uuid, sshPort, gdbPort } = facts;
  const step = progress.step("start from the warm image");
  try {
    const socket = controlSocket(name);
    await startFork({
      definition,
      libvirtUri,
      warm,
      sockets: daemonFolder(),
      fork: {
        ...{ name, uuid, consoleFile, sshPort, gdbPort },
        ...{ disks: {}, controlSocket: socket, transient: false },
      },
    });
    const { session, hostKey, problems } = await identify(
      socket,
      { user, ...identity },
      { own: true, mount: "fstab", signal },
    );
    session.close();
    if (problems.length > 0) throw new LabError(problems.join("; "), ExitCode.infrastructureFailed);
    await releaseOtherWarmImages(stackFolder, warm.key);
    await pin(guest, hostKey, sshPort);
    step.done();
  } catch (error) {
    step.failed();
    throw error;
  }
}

/** Another guest than before, with a host key of its own, which came from here. */
async function pin(guest: StackGuest, hostKey: string, sshPort = 0): Promise<void> {
  const { stackFolder, domain, libvirtUri, user } = guest;
  await forgetHostKey(stackFolder);
  const key = parseHostKey(hostKey);
  if (sshPort === 0 || key === undefined) return;
  await pinHostKeys(join(stackFolder, "known_hosts"), sshPort, [key]);
  const text = `${key.type} ${key.base64}`;
  await writeGuestRecord(stackFolder, { domain, libvirtUri, sshPort, user, hostKey: text });
}

/** Disks as Pulumi made them: nothing of a former guest, and nothing of a warm image. */
async function freshDisks(guest: StackGuest, described: StackDefinition): Promise<void> {
  const pool = join(guest.stackFolder, "pool");
  const { imageDisk, parts } = described;
  await overlay(imageDisk, join(pool, diskNames.root), parts.rootBytes);
  await overlay(undefined, join(pool, diskNames.test), parts.testBytes);
  await forgetHostKey(guest.stackFolder);
  await releaseOtherWarmImages(guest.stackFolder, undefined);
}

/** The size of a disk that a guest sees. */
async function virtualBytes(disk: string): Promise<number> {
  const argv = ["info", "--force-share", "--output=json", disk];
  const { stdout } = await execa("qemu-img", argv, { stdin: "ignore", timeout: diskMs });
  return (JSON.parse(stdout) as { "virtual-size": number })["virtual-size"];
}
