/**
 * Whether KVM really works here.
 *
 * An openable /dev/kvm proves nothing: where nested virtualisation is broken, QEMU aborts, stops
 * with an internal error, or has every instruction emulated, so slowly that a kernel never gets
 * through its own decompression. So a boot sector counts to 50 million with a deadline: 0.3 s with
 * firmware under working KVM or TCG. The answer holds until the host boots again.
 */
import { constants } from "node:fs";
import { access, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import writeFileAtomic from "write-file-atomic";
import { ExitCode, LabError } from "../config/errors.ts";
import { places } from "../config/places.ts";

export type Accelerator = "kvm" | "tcg";

/** What the probe found; `why` says what made KVM unusable. */
export interface AcceleratorProbe {
  readonly accelerator: Accelerator;
  readonly why: string;
}

const PROBE_DEADLINE_MS = 5_000;
/** Emulation works or not, but it may be slow on a busy host. */
const EMULATION_DEADLINE_MS = 30_000;
const QEMU = "qemu-system-x86_64";

/** isa-debug-exit ends QEMU with status (value << 1) | 1; 0x2a gives 85. */
const PROBE_VALUE = 0x2a;
const PROBE_STATUS = (PROBE_VALUE << 1) | 1;

const LOOPS = 50_000_000;

/** A boot sector that counts down from LOOPS and then ends QEMU through isa-debug-exit. */
function bootSector(): Buffer {
  const sector = Buffer.alloc(512);
  sector.set([0x66, 0xb9], 0); // mov ecx, LOOPS
  sector.writeUInt32LE(LOOPS, 2);
  sector.set([0x66, 0x49, 0x75, 0xfc], 6); // dec ecx; jnz $-2
  sector.set([0xb0, PROBE_VALUE, 0xe6, 0xf4], 10); // mov al, PROBE_VALUE; out 0xf4, al
  sector.set([0xf4, 0xeb, 0xfd], 14); // hlt; jmp $-1
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

/** Runs the boot sector under an accelerator; undefined when they ran, else why not. */
export async function tryAccelerator(
  accelerator: Accelerator,
  qemu: string = QEMU,
  deadlineMs: number = PROBE_DEADLINE_MS,
): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), "vexlab-probe-"));
  try {
    const disk = join(folder, "boot.img");
    await writeFile(disk, bootSector());
    const argv = ["-accel", accelerator, "-m", "32", "-nodefaults", "-display", "none"];
    argv.push("-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=4");
    argv.push("-drive", `file=${disk},format=raw,if=ide`);
    const run = execa(qemu, argv, { stdin: "ignore", reject: false });
    const late = new AbortController();
    const deadline = sleep(deadlineMs, undefined, { signal: late.signal });
    const ended = await Promise.race([run, deadline]).finally(() => late.abort());
    if (ended === undefined) {
      // Not waited for: in the kernel's hands it may outlive even that, and a wrapper's children, too.
      run.kill("SIGKILL");
      run.stdout.destroy();
      run.stderr.destroy();
      run.unref();
      return `the probe guest did not finish within ${deadlineMs / 1000} s (a working one takes 0.3 s)`;
    }
    if (ended.exitCode === PROBE_STATUS) return undefined;
    return ended.stderr.trim().split("\n").at(-1) || (ended.shortMessage ?? "QEMU failed");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Chooses the accelerator for `vexlab:accelerator`.
 * `auto` takes KVM where it works and TCG elsewhere; `kvm` throws LabError where it does not work.
 */
export async function chooseAccelerator(
  wanted: "auto" | Accelerator,
  cache: string = places().cache,
): Promise<AcceleratorProbe> {
  if (wanted === "tcg") return { accelerator: "tcg", why: "configured" };
  const probe = await probeOncePerBoot(cache);
  if (wanted === "kvm" && probe.accelerator !== "kvm") {
    throw new LabError(
      `vexlab:accelerator = kvm: ${probe.why}`,
      ExitCode.usage,
      "Use auto or tcg, or enable (nested) virtualisation for this host.",
    );
  }
  return probe;
}

async function probeOncePerBoot(cache: string): Promise<AcceleratorProbe> {
  const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  const file = join(cache, "accelerator.json");
  const known = await readAnswer(file);
  if (known?.bootId === bootId) return known;
  const probe = await probeKvm();
  if (probe.accelerator === "tcg") await checkEmulation();
  await mkdir(cache, { recursive: true });
  await writeFileAtomic(file, JSON.stringify({ bootId, ...probe }) + "\n");
  return probe;
}

async function probeKvm(): Promise<AcceleratorProbe> {
  try {
    await access("/dev/kvm", constants.R_OK | constants.W_OK);
  } catch {
    return { accelerator: "tcg", why: "/dev/kvm is missing or not accessible to this user" };
  }
  const why = await tryAccelerator("kvm");
  return why === undefined
    ? { accelerator: "kvm", why: "guest code ran under KVM" }
    : { accelerator: "tcg", why: `KVM is there but does not work: ${why}` };
}

/**
 * Without an emulator that works, libvirt would wait for it for ever when it asks what it can do.
 * @throws LabError (infrastructure failed)
 */
async function checkEmulation(): Promise<void> {
  const why = await tryAccelerator("tcg", QEMU, EMULATION_DEADLINE_MS);
  if (why === undefined) return;
  throw new LabError(
    `${QEMU} does not work on this host: ${why}`,
    ExitCode.infrastructureFailed,
    `Try it: ${QEMU} --version; is the package qemu-system-x86 whole?`,
  );
}

async function readAnswer(
  file: string,
): Promise<(AcceleratorProbe & { bootId: string }) | undefined> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as AcceleratorProbe & { bootId: string };
  } catch {
    return undefined;
  }
}
