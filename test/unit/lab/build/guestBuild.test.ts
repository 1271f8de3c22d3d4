import { mkdtemp, readFile, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { guestBuilder, type BuildGuest } from "../../../../lab/build/guestBuild.ts";
import { ExitCode, LabError } from "../../../../lab/config/errors.ts";
import { parseManifest } from "../../../../lab/config/manifest.ts";
import type { CommandOptions, CommandResult } from "../../../../lab/guest/session.ts";
import { GuestError } from "../../../../lab/guest/session.ts";
import { manifest } from "./tree.ts";

const ok: CommandResult = { exitCode: 0, signal: null, stdout: "", stderr: "", milliseconds: 1 };

/** A guest that answers by the first argument that it knows. */
class Guest implements BuildGuest {
  readonly commands: string[] = [];
  readonly deadlines: number[] = [];
  constructor(
    private readonly answers: Record<string, Partial<CommandResult> | Error> = {},
    private readonly files: Record<string, string> = {},
  ) {}

  run(argv: readonly string[], options: CommandOptions): Promise<CommandResult> {
    this.commands.push(argv.join(" "));
    this.deadlines.push(options.deadlineMs);
    const known: Record<string, Partial<CommandResult> | Error> = {
      id: { stdout: "vexfs\n" },
      nproc: { stdout: "3\n" },
      find: {
        stdout: Object.keys(this.files)
          .map((path) => `755 ${path}\n`)
          .join(""),
      },
      ...this.answers,
    };
    const answer = known[Object.keys(known).find((word) => argv.includes(word)) ?? ""] ?? {};
    if (answer instanceof Error) return Promise.reject(answer);
    options.onStdout?.(answer.stdout ?? "");
    return Promise.resolve({ ...ok, ...answer });
  }
  uploadFolder(local: string, remote: string): Promise<void> {
    this.commands.push(`upload ${local === folder ? "the copy" : local} ${remote}`);
    return Promise.resolve();
  }
  async download(remote: string, local: string): Promise<void> {
    await writeFile(local, this.files[remote.replace("/mnt/vexlab-build/", "")] ?? "");
  }
}

let folder = "";
let output = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "guest-build-"));
  output = "";
});

const build = (guest: Guest, signal?: AbortSignal): Promise<string[]> =>
  guestBuilder(guest, 60_000).build({
    folder,
    manifest,
    kernelRelease: "6.1.0-test",
    onOutput: (text) => (output += text),
    onStep: () => () => undefined,
    ...(signal === undefined ? {} : { signal }),
  });
const failure = (guest: Guest, signal?: AbortSignal): Promise<unknown> =>
  build(guest, signal).catch((error: unknown) => error);

describe("a build in the guest", () => {
  it("of a DKMS package brings back what its dkms.conf was to make", async () => {
    const files = {
      "kernel/.vexlab-dkms": "module=sub/a.ko\0module=../b.ko\0",
      "kernel/sub/a.ko": "module",
      "kernel/other.ko": "",
    };
    const guest = new Guest({}, files);
    await guestBuilder(guest, 60_000).build({
      folder,
      manifest: parseManifest("{name: a, module: {folder: kernel, dkms: dkms.conf}}"),
      kernelRelease: "6.1.0-test",
      onOutput: () => undefined,
      onStep: () => () => undefined,
    });
    expect(await readFile(join(folder, "kernel/sub/a.ko"), "utf8")).toBe("module");
    await expect(stat(join(folder, "kernel/other.ko"))).rejects.toThrow("ENOENT");
  });

  it("runs the same commands as on the host, brings the artefacts back and cleans up", async () => {
    const files = { "kernel/hello.ko": "module", "bin/hi": "program", "kernel/hello.o": "" };
    const guest = new Guest({ make: { stdout: "CC hello.o\n" } }, files);
    expect(await build(guest)).toEqual(Object.keys(files).sort());
    expect(
      guest.commands.map((line) => line.replace(/env -i (\S+) .*CARGO_\S+/, "env $1 ...")),
    ).toEqual([
      "sudo rm -rf /mnt/vexlab-build /tmp/vexlab-home",
      "id -un",
      "sudo install -d -o vexfs /mnt/vexlab-build /tmp/vexlab-home",
      "nproc",
      "upload the copy /mnt/vexlab-build",
      "env --chdir=/mnt/vexlab-build/kernel ... make -C /lib/modules/6.1.0-test/build M=/mnt/vexlab-build/kernel -j3 modules",
      "env --chdir=/mnt/vexlab-build ... make",
      "find /mnt/vexlab-build -type f -printf %m %P\\n",
      "sudo rm -rf /mnt/vexlab-build /tmp/vexlab-home",
    ]);
    expect(await readFile(join(folder, "kernel/hello.ko"), "utf8")).toBe("module");
    expect((await stat(join(folder, "bin/hi"))).mode & 0o777).toBe(0o755);
    expect(output).toBe("CC hello.o\nCC hello.o\n");
  });

  it("has one deadline for everything", async () => {
    const guest = new Guest();
    await build(guest);
    expect(Math.max(...guest.deadlines)).toBeLessThanOrEqual(60_000);
  });

  it("that fails says what the compiler said, and cleans up", async () => {
    const guest = new Guest({
      make: { exitCode: 2, stdout: "/mnt/vexlab-build/kernel/hello.c:1:1: error: no\n" },
    });
    expect(await failure(guest)).toMatchObject({
      exitCode: ExitCode.buildFailed,
      message: "build of module: make failed with exit status 2\n  kernel/hello.c:1:1: error: no",
    });
    expect(guest.commands.at(-1)).toContain("rm -rf");
  });

  it.each([
    ["deadline", ExitCode.hung, /module in the guest did not end within 1m/],
    ["cancelled", ExitCode.cancelled, /build of module was cancelled/],
    ["lost", ExitCode.infrastructureFailed, /^what the session says$/],
  ] as const)("that ends by %s says so", async (fault, exitCode, message) => {
    const guest = new Guest({ make: new GuestError(fault, "what the session says") });
    expect(await failure(guest)).toMatchObject({
      exitCode,
      message: expect.stringMatching(message) as unknown,
    });
  });

  it("does not begin when it was cancelled before", async () => {
    const guest = new Guest();
    expect(await failure(guest, AbortSignal.abort())).toMatchObject({
      exitCode: ExitCode.cancelled,
    });
    expect(guest.commands.join("\n")).not.toContain("make");
  });

  it("says what the guest could not prepare", async () => {
    const guest = new Guest({ install: { exitCode: 1, stderr: "No space left on device\n" } });
    const error = await failure(guest);
    expect(error).toBeInstanceOf(LabError);
    expect(error).toMatchObject({
      exitCode: ExitCode.infrastructureFailed,
      message: expect.stringContaining("install -d") as unknown,
    });
    expect((error as LabError).message).toContain("No space left on device");
  });
});
