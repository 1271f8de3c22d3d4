/**
 * Making a warm image: a guest of its own is booted with the stack's devices and customisation but
 * nobody's identity, saved when cloud-init has finished, and thrown away.
 */
import { randomBytes } from "node:crypto";
import { chmod, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { ExitCode, LabError } from "../config/errors.ts";
import { booted } from "../guest/boot.ts";
import type { CloudInitDocuments } from "../guest/cloudInit.ts";
import { writeDisk } from "../guest/cloudInitDisk.ts";
import { ControlSession } from "../guest/controlSession.ts";
import { forkXml } from "../hypervisor/forkXml.ts";
import { saveState } from "../hypervisor/savedState.ts";
import { virsh } from "../hypervisor/virsh.ts";
import { LockBusy, takeLock } from "../image/lock.ts";
import type { Progress } from "../report/progress.ts";
import { writeThrough } from "../report/wholeFile.ts";
import { evictWarmImages, removeLeftovers, warmLimit } from "./prune.ts";
import { buildingPrefix, sealWarmImage, warmFolder, warmPaths } from "./warmImage.ts";

export interface TemplateRequest {
  readonly key: string;
  readonly definition: string;
  readonly libvirtUri: string;
  readonly documents: CloudInitDocuments;
  readonly imageId: string;
  readonly imageDisk: string;
  readonly rootBytes: number;
  readonly testBytes: number;
  readonly user: string;
  /** A folder with a short path, for sockets. */
  readonly sockets: string;
  /** Milliseconds for the boot. */
  readonly bootMs: number;
}

const agentMs = 60_000;
const settleMs = 120_000;

/** Where a sibling has the builds, and the folder of its writable views of them. */
export const siblingFolders = { builds: "/run/vexlab/builds", views: "/run/vexlab/views" };

/*
 * What is under way would go on in every fork: wait for the last units. A mounted share forbids
 * saving ("Migration is disabled when VirtFS export path … is mounted"). Written back, so that the
 * disks are those of a guest that could be booted cold. What every fork would have to do is done once.
 */
export const settleScript = `\
modprobe --all overlay 9p 9pnet_virtio
install -d -m 755 /run/vexlab ${siblingFolders.builds} ${siblingFolders.views}
timeout 60 systemctl is-system-running --wait >/dev/null
for mount in $(awk '$3 == "9p" { print $2 }' /proc/mounts); do umount "$mount" || exit; done
sync
`;

/**
 * How long the guest rests before it is saved: what systemd, udev and the journal still do about the
 * script above would otherwise be done by every fork, in which all of it has to be translated anew. The
 * last of it is that udev ends its idle workers, after 3 s (on_post in systemd's src/udev/udevd.c).
 */
export const restMs = 5000;

/**
 * Boots and saves a guest under the request's key, which the caller has locked.
 * @throws LabError when it doesn't get ready or can't be saved; nothing is left of it then.
 */
export async function makeWarmImage(
  request: TemplateRequest,
  progress: Progress,
  signal?: AbortSignal,
): Promise<void> {
  const { key, libvirtUri } = request;
  const maxBytes = warmLimit();
  const parent = warmFolder();
  const work = join(parent, `${buildingPrefix}${process.pid}-${randomBytes(4).toString("hex")}`);
  const name = templateName(key);
  await removeLeftovers();
  await mkdir(work, { recursive: true });
  const step = progress.step("boot and save a warm image: the next starts take seconds");
  try {
    const warm = warmPaths(work);
    await makeDisks(request, warm, work);
    const controlSocket = join(request.sockets, `${name}.sock`);
    const consoleFile = join(work, "console.log");
    const xml = forkXml(request.definition, {
      name,
      disks: { vda: warm.rootDisk, vdb: warm.testDisk, vdc: join(work, "cloud-init.img") },
      consoleFile,
      controlSocket,
      memoryFile: warm.memory,
      role: "template",
      // Written through below, when they are whole.
      transient: true,
    });
    const xmlFile = join(work, "domain.xml");
    await writeFile(xmlFile, xml);
    // Of a run that was killed.
    await virsh(libvirtUri, ["destroy", name]).catch(() => undefined);
    let kernelRelease: string;
    try {
      await virsh(libvirtUri, ["create", xmlFile]);
      await bootTemplate({ ...request, domain: name, consoleFile }, progress, signal);
      kernelRelease = await settle(controlSocket, request.user, signal);
      await rest(signal);
      await saveState(libvirtUri, name, warm.state, request.sockets);
    } finally {
      await virsh(libvirtUri, ["destroy", name]).catch(() => undefined);
    }
    for (const file of [
      "console.log",
      "console.log.0",
      "cloud-init.img",
      "domain.xml",
      "documents",
    ])
      await rm(join(work, file), { recursive: true, force: true });
    for (const file of [warm.rootDisk, warm.testDisk, warm.memory]) await writeThrough(file);
    for (const file of [warm.rootDisk, warm.testDisk, warm.state]) await chmod(file, 0o444);
    const { imageId, imageDisk } = request;
    await sealWarmImage(work, { key, imageId, imageDisk, kernelRelease });
    // A damaged one of the same key; those who use its disks keep them open, and were asked before.
    await rm(join(parent, key), { recursive: true, force: true });
    await rename(work, join(parent, key));
    step.done();
    await evictWarmImages(maxBytes, progress, { keep: key });
  } catch (error) {
    step.failed();
    throw error;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The domain that boots to be saved. */
export const templateName = (key: string): string => `vexlab-template-${key}`;

/** Ends domains that were booted to be saved by runs that were killed. */
export async function removeTemplates(libvirtUri: string): Promise<void> {
  const text = await virsh(libvirtUri, ["list", "--all", "--transient", "--name"]);
  for (const name of text.split("\n").map((line) => line.trim())) {
    const key = /^vexlab-template-([0-9a-f]{16})$/.exec(name)?.[1];
    if (key === undefined) continue;
    try {
      const lock = await takeLock(join(warmFolder(), `${key}.lock`), { deadlineSeconds: 0 });
      await virsh(libvirtUri, ["destroy", name]).catch(() => undefined);
      await lock.release();
    } catch (error) {
      // Held: it is being saved.
      if (!(error instanceof LockBusy)) throw error;
    }
  }
}

async function makeDisks(
  request: TemplateRequest,
  warm: { readonly rootDisk: string; readonly testDisk: string; readonly memory: string },
  work: string,
): Promise<void> {
  const create = ["create", "-q", "-f", "qcow2"];
  const backing = ["-F", "qcow2", "-b", request.imageDisk];
  await execa("qemu-img", [...create, ...backing, warm.rootDisk, String(request.rootBytes)]);
  await execa("qemu-img", [...create, warm.testDisk, String(request.testBytes)]);
  await writeDisk(request.documents, join(work, "cloud-init.img"), join(work, "documents"));
}

async function bootTemplate(
  request: TemplateRequest & { readonly domain: string; readonly consoleFile: string },
  progress: Progress,
  signal: AbortSignal | undefined,
): Promise<void> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), request.bootMs);
  const abort = (): void => {
    const message = "cancelled while the guest booted that was to be saved";
    stop.abort(new LabError(message, ExitCode.cancelled));
  };
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    const { domain, consoleFile, libvirtUri, bootMs } = request;
    const boot = { domain, consoleFile, libvirtUri, deadlineMs: bootMs };
    const { ready } = await booted(boot, progress, stop);
    if (ready.errors.length > 0)
      throw new LabError(
        `cloud-init finished with errors in the guest: ${ready.errors.join("; ")}`,
        ExitCode.infrastructureFailed,
      );
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
    stop.abort();
  }
}

async function rest(signal: AbortSignal | undefined): Promise<void> {
  await sleep(restMs, undefined, { ...(signal && { signal }) }).catch(() => {
    throw new LabError("cancelled before the guest was saved", ExitCode.cancelled);
  });
}

/** @returns the guest's kernel */
async function settle(socket: string, user: string, signal?: AbortSignal): Promise<string> {
  const session = await ControlSession.connect(socket, {
    deadlineMs: agentMs,
    user,
    ...(signal && { signal }),
  });
  try {
    const { exitCode, stderr } = await session.run(["sh", "-c", settleScript], {
      user: "root",
      deadlineMs: settleMs,
      ...(signal && { signal }),
    });
    if (exitCode !== 0)
      throw new LabError(`the guest can't be saved: ${stderr}`, ExitCode.infrastructureFailed);
    return session.kernelRelease;
  } finally {
    session.close();
  }
}
