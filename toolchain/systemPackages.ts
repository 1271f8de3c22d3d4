/**
 * The Debian packages that vexlab needs on the host: looked for with dpkg-query, and only what is
 * missing is installed, as root or through sudo without a password; nothing is ever asked.
 */
import { access } from "node:fs/promises";
import { execa } from "execa";
import { ExitCode, LabError } from "../lab/config/errors.ts";
import type { Progress } from "../lab/report/progress.ts";

/** Every package with what it is for. Names are those of Debian 12 and of Ubuntu 22.04 or newer. */
export const systemPackages: Readonly<Record<string, string>> = {
  "ca-certificates": "secure downloads",
  curl: "downloads",
  "qemu-system-x86": "the guests",
  "qemu-utils": "disk images",
  "libvirt-daemon-system": "the hypervisor's daemon",
  "libvirt-clients": "virsh",
  tini: "collects ended guests at once",
  genisoimage: "makes and reads cloud-init disks",
  xsltproc: "the provider changes domain definitions with it",
  mmdebstrap: "image builds",
  gpgv: "the signatures of what images are downloaded by",
  ovmf: "UEFI for images that are downloaded",
  "debian-archive-keyring": "the signatures of what images are built from",
  uidmap: "image builds without root",
  e2fsprogs: "file systems of images",
  bubblewrap: "module builds in an image's sysroot",
  "openssh-client": "the printed SSH command",
  iproute2: "who holds a port (ss)",
  kmod: "modules' properties (modinfo)",
  make: "what a Kbuild file builds, before there is an image (vexlab init)",
};

/** Needed by the tests only. */
export const lintPackages: Readonly<Record<string, string>> = {
  shellcheck: "checks of shell scripts",
  binutils: "modules' symbols (nm)",
  gpg: "signatures of images that tests make",
  openssl: "certificates of the tests' own server",
};

/**
 * The packages that are not installed.
 *
 * @param status what `dpkg-query --show --showformat='${Package} ${db:Status-Status}\n'` printed
 */
export function missingFrom(status: string, wanted: readonly string[]): string[] {
  const installed = new Set(
    status
      .split("\n")
      .map((line) => line.split(" "))
      .filter(([, state]) => state === "installed")
      .map(([name]) => name),
  );
  return wanted.filter((name) => !installed.has(name));
}

/** The command that installs packages, as a person types it. */
export function installCommand(missing: readonly string[]): string {
  return `sudo apt-get update && sudo apt-get install --no-install-recommends --yes ${missing.join(" ")}`;
}

/** How to run a command as root without being asked: no prefix, sudo's, or undefined. */
async function rootPrefix(): Promise<readonly string[] | undefined> {
  if (process.getuid?.() === 0) return [];
  const sudo = ["sudo", "--non-interactive"];
  const allowed = await execa("sudo", ["--non-interactive", "true"], { reject: false });
  return allowed.exitCode === 0 ? sudo : undefined;
}

async function asRoot(prefix: readonly string[], command: readonly string[]): Promise<void> {
  // Through env(1), because sudo hands no variables on.
  const variables = ["DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_MODE=l"];
  const [program = "env", ...args] = [...prefix, "env", ...variables, ...command];
  await execa(program, args, { stdin: "ignore", all: true });
}

/**
 * Installs what is missing.
 *
 * @throws LabError (exit 3) with the exact command when this user may not install packages, when
 *   the host isn't Debian's kind, or when apt-get fails
 */
export async function ensureSystemPackages(
  progress: Progress,
  wanted: readonly string[] = Object.keys(systemPackages),
): Promise<void> {
  const query = await execa(
    "dpkg-query",
    ["--show", "--showformat=${Package} ${db:Status-Status}\\n", ...wanted],
    // It ends with 1 when it doesn't know one of the names.
    { reject: false },
  );
  if (query.exitCode === undefined) {
    const isDebian = await access("/etc/debian_version").then(
      () => true,
      () => false,
    );
    if (isDebian) throw new Error(`dpkg-query can't be run: ${query.shortMessage}`);
    progress.line("this host has no dpkg: what vexlab needs is taken to be installed");
    return;
  }
  const missing = missingFrom(query.stdout, wanted);
  if (missing.length === 0) return;

  const byHand = installCommand(missing);
  const prefix = await rootPrefix();
  if (!prefix) {
    throw new LabError(
      `These system packages are missing: ${missing.join(", ")}; this user may not install them without a password`,
      ExitCode.infrastructureFailed,
      `Run:  ${byHand}`,
    );
  }
  const step = progress.step(`System packages: ${missing.join(", ")}`);
  const wait = ["-o", "DPkg::Lock::Timeout=300"];
  try {
    await asRoot(prefix, ["apt-get", ...wait, "--quiet", "update"]);
    const install = ["install", "--no-install-recommends", "--yes", "--quiet"];
    await asRoot(prefix, ["apt-get", ...wait, ...install, ...missing]);
  } catch (error) {
    step.failed();
    const said = error instanceof Error && "all" in error ? String(error.all) : String(error);
    throw new LabError(
      `apt-get failed:\n${said.trim().split("\n").slice(-15).join("\n")}`,
      ExitCode.infrastructureFailed,
      `To see it all, run:  ${byHand}`,
      { cause: error },
    );
  }
  step.done();
}
