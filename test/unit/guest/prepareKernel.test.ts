/** guest/prepare-kernel against an archive that is played, in a sandbox with a guest's folders. */
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const script = join(dirname(fileURLToPath(import.meta.url)), "../../../guest/prepare-kernel");

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-kernel-"));
  for (const name of ["bin", "modules", "run", "lib", "archive"]) await mkdir(join(folder, name));
  await writeFile(join(folder, "console"), "");
  await writeFile(join(folder, "calls"), "");
});
afterEach(() => rm(folder, { recursive: true }));

interface Guest {
  /** What runs. */
  readonly release: string;
  /** What the archive has. */
  readonly packages?: readonly string[];
  /** Which kernel the package that follows the newest installs, and what follows the one that runs. */
  readonly newest?: string;
  readonly follows?: string;
  /** Releases whose headers are in the image. */
  readonly headers?: readonly string[];
  readonly hasTools?: boolean;
  readonly offline?: boolean;
  /** The kernel that the last reboot was for. */
  readonly rebooted?: string;
  /** What the headers' package really holds. */
  readonly wrongHeaders?: string;
}

/** The headers of a kernel, as Debian's packages have them: only one of the two files has uname's name. */
const headerFiles = {
  "config/kernel.release": () => "6.1.192",
  "generated/utsrelease.h": (release: string) => `#define UTS_RELEASE "${release}"`,
};
const headersOf = (release: string, holds = release): string =>
  Object.entries(headerFiles)
    .map(([name, text]) => {
      const file = `/lib/modules/${release}/build/include/${name}`;
      return `mkdir -p ${dirname(file)}; echo '${text(holds)}' >${file}`;
    })
    .join("; ");

async function run(guest: Guest) {
  const { release, packages = [], newest = "", follows, headers = [], wrongHeaders } = guest;
  const program = async (name: string, text: string): Promise<void> => {
    await writeFile(join(folder, "bin", name), `#!/bin/sh\n${text}\n`);
    await chmod(join(folder, "bin", name), 0o755);
  };
  const tools = "cp /bin/true /fake/gcc; cp /bin/true /fake/make";
  await program("uname", `echo ${release}`);
  await program(
    "apt-get",
    [
      `echo "apt-get $*" >>/calls`,
      `case "$*" in`,
      `*" update") exit ${guest.offline === true ? 100 : 0} ;;`,
      `*" linux-headers-${release} "*) ${headersOf(release, wrongHeaders)}; ${tools} ;;`,
      `*" install "*) ${newest === "" ? ":" : headersOf(newest)}; ${tools} ;;`,
      "esac",
    ].join("\n"),
  );
  await program(
    "apt-cache",
    `case " ${packages.join(" ")} " in *" $2 "*) echo "  Candidate: 1" ;; *) echo "  Candidate: (none)" ;; esac`,
  );
  await program(
    "dpkg-query",
    [
      'case "$*" in',
      `*"linux-image-*"*) echo 'linux-image-${release} kmod'; ${follows === undefined ? ":" : `echo '${follows} linux-image-${release} (= 1)'`} ;;`,
      `*) echo 'linux-image-${newest} (= 2)' ;;`,
      "esac",
    ].join("\n"),
  );
  await program("systemctl", 'echo "systemctl $*" >>/calls');
  await program("sleep", "exit 0");
  await program("sync", ":");
  if (guest.hasTools === true) for (const tool of ["gcc", "make"]) await program(tool, ":");
  for (const each of headers) {
    for (const [name, text] of Object.entries(headerFiles)) {
      const file = join(folder, "modules", each, "build/include", name);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, `${text(each)}\n`);
    }
  }
  if (guest.rebooted !== undefined)
    await writeFile(join(folder, "lib", "vexlab-kernel"), `${guest.rebooted}\n`);
  const at = (name: string): string => join(folder, name);
  const { exitCode } = await execa(
    "bwrap",
    [
      ...["--ro-bind", "/usr/bin", "/usr/bin", "--symlink", "usr/bin", "/bin"],
      ...["--ro-bind", "/usr/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu"],
      ...["--ro-bind", "/lib64", "/lib64", "--symlink", "usr/lib", "/lib"],
      ...["--ro-bind", "/etc/alternatives", "/etc/alternatives", "--dev", "/dev"],
      ...["--bind", at("console"), "/dev/ttyS0", "--bind", at("calls"), "/calls"],
      ...["--bind", at("modules"), "/usr/lib/modules", "--bind", at("run"), "/run"],
      ...["--bind", at("lib"), "/var/lib", "--bind", at("bin"), "/fake"],
      ...["--ro-bind", script, "/prepare-kernel", "--unshare-all", "--die-with-parent"],
      ...["--clearenv", "--setenv", "PATH", "/fake:/usr/sandbox-bin", "--", "/bin/sh"],
      // The host's compiler must not be seen: only what the script itself calls.
      ...[
        "-c",
        `for each in ${hostPrograms.join(" ")}; do /usr/bin/ln -s /usr/bin/$each /fake/ 2>/dev/null; done; exec /bin/sh /prepare-kernel`,
      ],
    ],
    { reject: false },
  );
  const read = (name: string): Promise<string> => readFile(at(name), "utf8").catch(() => "");
  return {
    exitCode,
    console: await read("console"),
    calls: await read("calls"),
    rebooted: (await read("lib/vexlab-kernel")).trim(),
    isRebooting: existsSync(at("run/vexlab-rebooting")),
  };
}

const hostPrograms = ["awk", "cat", "cp", "grep", "head", "ln", "mkdir", "rm", "sed", "tr"];

const release = "6.1.0-18-amd64";
const headers = `linux-headers-${release}`;

describe("a guest whose image was downloaded", () => {
  it("with everything in it is left alone, and needs no network", async () => {
    const { exitCode, calls } = await run({ release, headers: [release], hasTools: true });
    expect([exitCode, calls]).toEqual([0, ""]);
  });

  it("gets the headers of the kernel that runs", async () => {
    const { exitCode, calls, console } = await run({ release, packages: [headers] });
    expect(exitCode).toBe(0);
    expect(calls).toMatch(
      /update\n.*install --no-install-recommends linux-headers-6\.1\.0-18-amd64 /,
    );
    expect(calls).not.toContain("reboot");
    expect(console).toMatch(/vexlab-kernel: installs the headers of kernel 6\.1\.0-18-amd64/);
  });

  it("that has headers of another kernel only gets the right ones", async () => {
    const other = { headers: ["6.1.0-17-amd64"], hasTools: true };
    const { exitCode, calls } = await run({ release, packages: [headers], ...other });
    expect([exitCode, calls]).toEqual([0, expect.stringContaining(headers)]);
  });

  it("fails when the package holds other headers than it says", async () => {
    const wrong = { packages: [headers], wrongHeaders: "6.1.0-17-amd64" };
    const { exitCode, console } = await run({ release, ...wrong });
    expect(exitCode).toBe(1);
    expect(console).toMatch(/failed: the package .* holds the headers of kernel 6\.1\.0-17-amd64/);
  });

  it("fails when the archive can't be reached, saying what is needed", async () => {
    const { exitCode, console } = await run({ release, offline: true });
    expect(exitCode).toBe(1);
    expect(console).toMatch(/failed: .*lacks the headers .*vexlab:network nat/);
  });
});

describe("a guest whose kernel the archive has no headers of any more", () => {
  const newest = "6.1.0-20-cloud-amd64";
  const series = ["linux-image-cloud-amd64", "linux-headers-cloud-amd64"];
  const running = "6.1.0-18-cloud-amd64";

  it.each([
    ["that the running one came by", { follows: "linux-image-cloud-amd64" }],
    ["of its flavour", {}],
  ])("gets the newest one by the package %s, and reboots into it", async (_, more) => {
    const outcome = await run({ release: running, packages: series, newest, ...more });
    expect(outcome.calls).toMatch(
      /install --no-install-recommends linux-image-cloud-amd64 linux-headers-cloud-amd64 [^]*systemctl --no-block reboot/,
    );
    expect(outcome).toMatchObject({ rebooted: newest, isRebooting: true });
    expect(outcome.console).toMatch(/any more[^]*reboots into kernel 6\.1\.0-20-cloud-amd64/);
  });

  it("is ready after the reboot, and forgets it", async () => {
    const after = { release: newest, rebooted: newest, headers: [newest], hasTools: true };
    expect(await run(after)).toMatchObject({ exitCode: 0, calls: "", rebooted: "" });
  });

  it("fails, and does not reboot again, when the boot loader starts the old one", async () => {
    const after = { release: running, rebooted: newest, headers: [newest], hasTools: true };
    const { exitCode, console, calls } = await run({ ...after, packages: series, newest });
    expect([exitCode, calls]).toEqual([1, ""]);
    expect(console).toMatch(/rebooted into kernel 6\.1\.0-20.*starts 6\.1\.0-18.* all the same/);
  });

  it("fails when it is the newest", async () => {
    const { exitCode, console, calls } = await run({
      release: running,
      packages: series,
      newest: running,
    });
    expect(exitCode).toBe(1);
    expect(console).toMatch(/failed: the archive has no headers of kernel .*, its newest/);
    expect(calls).not.toContain("reboot");
  });

  it("fails when no package follows it", async () => {
    const { exitCode, console, calls } = await run({ release: running });
    expect(exitCode).toBe(1);
    expect(console).toMatch(/failed: .*no package linux-image-cloud-amd64 for a newer one/);
    expect(calls).not.toContain("reboot");
  });
});
