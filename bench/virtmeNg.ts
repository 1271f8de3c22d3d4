/**
 * The edit → verdict loop with virtme-ng: the same make in the same sysroot, then a boot of the same
 * kernel, whose root file system is the host's, and the same check in it.
 *
 * Debian's kernel has 9p and virtio as modules; virtme-ng finds them because the kernel that it is
 * given lies in the sysroot's /boot, with /lib/modules of its release beside it, and puts them into
 * an initramfs, for which it needs a static busybox.
 */
import { access, cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { sandboxArguments } from "../lab/build/hostBuild.ts";
import { buildSteps } from "../lab/build/steps.ts";
import { readManifest } from "../lab/config/manifest.ts";
import type { BuiltImage } from "../lab/image/image.ts";
import type { Lab } from "./lab.ts";

const version = "1.42";
const bootMs = 180_000;
const installMs = 300_000;

const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

export class VirtmeNg {
  private constructor(
    private readonly lab: Lab,
    private readonly image: BuiltImage,
    private readonly folder: string,
    private readonly busybox: string,
    private readonly work: string,
  ) {}

  /** Installs it and what it needs into the bench's cache, where they aren't yet. */
  static async install(lab: Lab, image: BuiltImage): Promise<VirtmeNg> {
    const folder = join(lab.cache, `virtme-ng-${version}`);
    await mkdir(lab.cache, { recursive: true });
    if (!(await exists(join(folder, "installed")))) {
      await rm(folder, { recursive: true, force: true });
      const options = { stdin: "ignore", timeout: installMs } as const;
      await execa("python3", ["-m", "venv", folder], options);
      const pip = ["install", "--quiet", "--disable-pip-version-check", `virtme-ng==${version}`];
      await execa(join(folder, "bin/pip"), pip, options);
      await mkdir(join(folder, "installed"));
    }
    const busybox = await findBusybox(lab.cache);
    // Below the cache, since virtme-ng's guests see the host's files but have a /tmp of their own.
    const work = await mkdtemp(join(lab.cache, "work-"));
    return new VirtmeNg(lab, image, folder, busybox, work);
  }

  /** Copies the sources. */
  async begin(source: string): Promise<void> {
    await cp(source, this.work, { recursive: true });
  }

  file(name: string): string {
    return join(this.work, name);
  }

  /** Seconds of the build and of the boot with the check. @throws Error unless the check passed */
  async turn(): Promise<{ build: number; boot: number }> {
    const began = performance.now();
    await this.build();
    const built = performance.now();
    await this.check();
    return { build: (built - began) / 1000, boot: (performance.now() - built) / 1000 };
  }

  async build(): Promise<void> {
    const { image, work } = this;
    const manifest = await readManifest(work);
    for (const step of buildSteps(manifest, image.kernelRelease, availableParallelism()))
      await execa("bwrap", sandboxArguments(image.sysroot, work, step), { stdin: "ignore" });
  }

  private async check(): Promise<void> {
    const { folder, image, lab } = this;
    lab.signal.throwIfAborted();
    const bin = join(folder, "bin");
    const run = await execa(
      join(bin, "vng"),
      [
        ...["--run", join(image.sysroot, "boot", `vmlinuz-${image.kernelRelease}`)],
        ...(lab.accelerator === "tcg" ? ["--disable-kvm"] : []),
        ...["--cpus", "2", "--memory", "2G", "--user", "root", "--busybox", this.busybox],
        // Without a terminal its script's output goes to the console, which it shows when verbose.
        ...["--verbose", "--exec", `sh ${this.file("tests/loads.sh")}`],
      ],
      {
        // vng starts virtme-run by name.
        env: { PATH: `${bin}:${process.env["PATH"] ?? ""}` },
        stdin: "ignore",
        all: true,
        reject: false,
        timeout: bootMs,
      },
    );
    if (!/^ok 1 /m.test(run.all))
      throw new Error(`virtme-ng: the check did not pass:\n${run.all.slice(-1500)}`);
  }

  async remove(): Promise<void> {
    await rm(this.work, { recursive: true, force: true });
  }
}

/** A static busybox: the host's, or the distribution's package unpacked into the cache. */
async function findBusybox(cache: string): Promise<string> {
  for (const file of ["/bin/busybox", "/usr/bin/busybox"]) {
    const linked = await execa("ldd", [file], { reject: false, all: true });
    if (linked.all.includes("not a dynamic executable")) return file;
  }
  const folder = join(cache, "busybox-static");
  const unpacked = join(folder, "bin/busybox");
  if (await exists(unpacked)) return unpacked;
  await mkdir(folder, { recursive: true });
  const got = await execa("apt-get", ["download", "--quiet", "busybox-static"], {
    cwd: folder,
    stdin: "ignore",
    reject: false,
    all: true,
    timeout: installMs,
  });
  if (got.exitCode !== 0)
    throw new Error(`virtme-ng needs a static busybox (package busybox-static):\n${got.all}`);
  const { stdout } = await execa("find", [folder, "-name", "busybox-static_*.deb"]);
  await execa("dpkg-deb", ["--extract", stdout.split("\n")[0] ?? "", folder]);
  return unpacked;
}
