/**
 * The TypeScript package of the libvirt provider, `sdks/libvirt`: generated from the provider's
 * schema and compiled, once for a checkout and toolchain. package.json refers to it by its folder,
 * so nothing tracked changes. `pulumi install`, for users of their own Pulumi, makes the same.
 */
import { mkdir, mkdtemp, readFile, rename, rm, writeFile, copyFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { execa } from "execa";
import { ExitCode, LabError } from "../lab/config/errors.ts";
import type { Places } from "../lab/config/places.ts";
import type { Progress } from "../lab/report/progress.ts";
import { takeLock } from "./lock.ts";
import { libvirtProvider, libvirtProviderAddress, terraformBridge } from "./pins.ts";
import type { Toolchain } from "./install.ts";

const lockDeadlineSeconds = 600;

async function isCurrent(folder: string, stamp: string): Promise<boolean> {
  try {
    if ((await readFile(join(folder, ".vexlab-stamp"), "utf8")) !== stamp) return false;
    await readFile(join(folder, "bin", "index.js"));
    return true;
  } catch {
    return false;
  }
}

async function generate(
  toolchain: Toolchain,
  where: Places,
  environment: NodeJS.ProcessEnv,
  folder: string,
  stamp: string,
): Promise<void> {
  const sdks = join(where.checkout, "sdks");
  const temporary = await mkdtemp(join(sdks, ".generating-"));
  try {
    await execa(
      join(toolchain.bin, "pulumi"),
      [
        ["package", "gen-sdk", `${terraformBridge.name}@${terraformBridge.version}`],
        [libvirtProviderAddress, libvirtProvider.version],
        ["--language", "nodejs", "--local", "--out", temporary],
      ].flat(),
      {
        env: environment,
        extendEnv: false,
        cwd: where.checkout,
        stdin: "ignore",
        timeout: 120_000,
      },
    );
    const made = join(temporary, "nodejs");
    // Generated code: emitted without being checked, which halves the time.
    const compiler = join(where.checkout, "node_modules", "typescript", "bin", "tsc");
    await execa(process.execPath, [compiler, "--noCheck", "--project", made], {
      cwd: made,
      stdin: "ignore",
      timeout: 120_000,
    });
    // The compiled code reads its own package.json for the version.
    await copyFile(join(made, "package.json"), join(made, "bin", "package.json"));
    await writeFile(join(made, ".vexlab-stamp"), stamp);
    await rm(folder, { recursive: true, force: true });
    await rename(made, folder);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/**
 * Generates and compiles the package if it isn't there for this toolchain yet.
 *
 * @throws LabError (exit 3)
 */
export async function ensureSdk(
  toolchain: Toolchain,
  where: Places,
  environment: NodeJS.ProcessEnv,
  progress: Progress,
): Promise<void> {
  const folder = join(where.checkout, "sdks", "libvirt");
  const stamp = `${basename(toolchain.folder)}\n`;
  if (await isCurrent(folder, stamp)) return;
  await mkdir(join(where.checkout, "sdks"), { recursive: true });
  const lock = await takeLock(join(where.state, "sdk.lock"), lockDeadlineSeconds, (holder) =>
    progress.line(
      `process ${holder ?? "unknown"} is generating the libvirt package; waiting for it`,
    ),
  );
  try {
    if (await isCurrent(folder, stamp)) return;
    const step = progress.step("TypeScript package of the libvirt provider");
    try {
      await generate(toolchain, where, environment, folder, stamp);
    } catch (error) {
      step.failed();
      const said =
        error instanceof Error && "stderr" in error
          ? `${String(error.stderr)}\n${"stdout" in error ? String(error.stdout) : ""}`.trim()
          : String(error);
      throw new LabError(
        `sdks/libvirt can't be generated:\n${said}`,
        ExitCode.infrastructureFailed,
        `If it happens again, remove ${toolchain.folder} and run again.`,
        { cause: error },
      );
    }
    step.done();
  } finally {
    await lock.release();
  }
}
