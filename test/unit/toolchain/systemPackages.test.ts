import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ExitCode } from "../../../lab/config/errors.ts";
import { silentProgress } from "../../../lab/report/progress.ts";
import { ensureSystemPackages, missingFrom } from "../../../toolchain/systemPackages.ts";

describe("dpkg-query's answer", () => {
  it("counts only what is installed", () => {
    const status = "curl installed\nqemu-utils config-files\nxsltproc not-installed\n";
    expect(missingFrom(status, ["curl", "qemu-utils", "xsltproc", "uidmap"])).toEqual([
      "qemu-utils",
      "xsltproc",
      "uidmap",
    ]);
  });
});

describe("installing", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "vexlab-apt-"));
    vi.stubEnv("PATH", `${folder}:/usr/bin:/bin`);
    await fake("dpkg-query", 'echo "curl installed"; exit 1');
    await fake("apt-get", `echo "$DEBIAN_FRONTEND $*" >> ${folder}/log`);
  });

  afterEach(async () => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
    await rm(folder, { recursive: true });
  });

  async function fake(name: string, body: string): Promise<void> {
    await writeFile(join(folder, name), `#!/bin/sh\n${body}\n`);
    await chmod(join(folder, name), 0o755);
  }

  const log = () => readFile(join(folder, "log"), "utf8").catch(() => "");

  it("does nothing when nothing is missing", async () => {
    await ensureSystemPackages(silentProgress, ["curl"]);
    expect(await log()).toBe("");
  });

  it("updates the lists once and installs what is missing, asking nothing", async () => {
    vi.spyOn(process, "getuid").mockReturnValue(0);
    await ensureSystemPackages(silentProgress, ["curl", "uidmap", "xsltproc"]);
    const lines = (await log()).trim().split("\n");
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/^noninteractive .* update$/);
    expect(lines[1]).toMatch(
      /^noninteractive .* install --no-install-recommends --yes --quiet uidmap xsltproc$/,
    );
  });

  it("gives the exact command to a user who may not", async () => {
    vi.spyOn(process, "getuid").mockReturnValue(1000);
    await fake("sudo", "exit 1");
    await expect(ensureSystemPackages(silentProgress, ["curl", "uidmap"])).rejects.toMatchObject({
      exitCode: ExitCode.infrastructureFailed,
      next: "Run:  sudo apt-get update && sudo apt-get install --no-install-recommends --yes uidmap",
    });
    expect(await log()).toBe("");
  });

  it("goes through sudo where that asks nothing", async () => {
    vi.spyOn(process, "getuid").mockReturnValue(1000);
    await fake("sudo", 'shift; exec "$@"');
    await ensureSystemPackages(silentProgress, ["uidmap"]);
    expect(await log()).toContain("install --no-install-recommends --yes --quiet uidmap");
  });

  it("shows what apt-get said when it fails", async () => {
    vi.spyOn(process, "getuid").mockReturnValue(0);
    await fake("apt-get", "echo 'E: Unable to locate package uidmap' >&2; exit 100");
    await expect(ensureSystemPackages(silentProgress, ["uidmap"])).rejects.toThrow(
      /Unable to locate package uidmap/,
    );
  });
});
