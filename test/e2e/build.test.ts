/**
 * Builds in a real image's root file system: needs bubblewrap and a built image, no guest.
 *
 * The image is the one that the other end-to-end tests use, made when the cache doesn't have it.
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { buildModule } from "../../lab/build/build.ts";
import { listFiles } from "../../lab/build/copy.ts";
import { parseModinfo } from "../../lab/build/elf.ts";
import { hostBuilder } from "../../lab/build/hostBuild.ts";
import type { BuildResult } from "../../lab/build/result.ts";
import { ExitCode } from "../../lab/config/errors.ts";
import { processIds } from "../../lab/hypervisor/processes.ts";
import { ensureImage, type BuiltImage } from "../../lab/image/image.ts";
import { silentProgress, terminalProgress } from "../../lab/report/progress.ts";

const hello = `
#include <linux/module.h>
static int __init hello_init(void) { return 0; }
static void __exit hello_exit(void) { }
module_init(hello_init);
module_exit(hello_exit);
MODULE_LICENSE("GPL");
`;

let image: BuiltImage;
let server: Server;
let source = "";
let state = "";

beforeAll(async () => {
  server = createServer((_request, response) => response.end("reached"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  image = await ensureImage("debian-12", terminalProgress());
});
afterAll(() => new Promise<void>((resolve) => server.close(() => resolve())));

beforeEach(async () => {
  source = await mkdtemp(join(tmpdir(), "vexlab-e2e-source-"));
  state = await mkdtemp(join(tmpdir(), "vexlab-e2e-state-"));
  await put("kernel/Kbuild", "obj-m := hello.o\n");
  await put("kernel/hello.c", hello);
  await manifest([]);
  return async () => {
    await rm(source, { recursive: true });
    await rm(state, { recursive: true });
  };
});

async function put(path: string, content: string): Promise<void> {
  await mkdir(dirname(join(source, path)), { recursive: true });
  await writeFile(join(source, path), content, { mode: 0o755 });
}

/** The manifest, with a tool that runs a command and makes `out`. */
const manifest = (command: readonly string[], artefact = "hello.ko"): Promise<void> =>
  put(
    "vexlab.yaml",
    JSON.stringify({
      name: "hello",
      module: { folder: "kernel", artefacts: [artefact] },
      tools: command.length === 0 ? [] : [{ name: "probe", command, artefacts: ["out"] }],
    }),
  );

interface Options {
  readonly signal?: AbortSignal;
  readonly deadlineMs?: number;
  readonly clean?: boolean;
  /** Where the results are; the state folder of the case by default. */
  readonly place?: string;
}
const build = ({
  deadlineMs,
  clean = false,
  place = state,
  ...options
}: Options = {}): Promise<BuildResult> =>
  buildModule(
    { stack: "ci", source, image, builder: hostBuilder(image.sysroot, deadlineMs), clean },
    {
      progress: silentProgress,
      places: { checkout: source, state: place, results: place, cache: place },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    },
  );
const failure = (
  ...args: Parameters<typeof build>
): Promise<{ exitCode: number; message: string }> =>
  build(...args).then(
    () => Promise.reject(new Error("the build did not fail")),
    (error: unknown) => error as { exitCode: number; message: string },
  );
const probed = async (script: string): Promise<string> => {
  await manifest(["sh", "-c", script]);
  return readFile(join((await build()).folder, "out"), "utf8");
};

/** What make says that it makes, such as `CC kernel/a.o`, in the order of the names. */
const made = async ({ logFile }: BuildResult): Promise<string[]> =>
  [
    ...(await readFile(logFile, "utf8")).matchAll(
      /^ {2}(\w+) +(?:\[M\] +)?\/mnt\/vexlab-build\/(.*)$/gm,
    ),
  ]
    .map(([, what, path]) => `${what ?? ""} ${path ?? ""}`)
    .sort();

/** Whether a process of the sandbox with this word in its command line still runs. */
async function runs(word: string): Promise<boolean> {
  for (const pid of await processIds()) {
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (line.split("\0").includes(word)) return true;
  }
  return false;
}

describe("a build on the host", () => {
  it("makes a module for the image's kernel and leaves the user's tree alone", async () => {
    const before = await listFiles(source);
    const result = await build();
    const info = parseModinfo(await readFile(join(result.folder, "kernel/hello.ko")));
    expect(info?.get("vermagic")?.[0]).toMatch(new RegExp(`^${image.kernelRelease} SMP`));
    expect(await readFile(join(result.folder, "kernel/hello.ko"))).toSatisfy((file: Buffer) =>
      file.includes(".debug_info"),
    );
    expect(await listFiles(source)).toEqual(before);
  });

  it("makes the same module again from the same sources", async () => {
    const first = await build();
    await rm(state, { recursive: true });
    expect((await build()).artefactHash).toBe(first.artefactHash);
  });

  it("has no network, also not to the host", async () => {
    const { port } = server.address() as AddressInfo;
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("reached");
    const seen = await probed(
      `cat /proc/net/dev > out; bash -c 'exec 3<>/dev/tcp/127.0.0.1/${port} && echo reached >> out' 2>> out; true`,
    );
    expect(seen).not.toContain("reached");
    expect(seen).toMatch(/refused/i);
    // Only the loopback of a namespace of its own.
    expect([...seen.matchAll(/^\s*(\w+): +\d+ /gm)].map((match) => match[1])).toEqual(["lo"]);
  });

  it("sees neither the user's files, processes nor environment, and cannot write to the image", async () => {
    process.env["VEXLAB_E2E_SECRET"] = "hidden";
    try {
      const seen = await probed(
        `{ env; ls ${source} 2>&1; ls -d /proc/[0-9]* | wc -l; touch /usr/marker 2>&1; true; } > out`,
      );
      expect(seen).not.toContain("VEXLAB_E2E_SECRET");
      expect(seen).toMatch(/cannot access/);
      expect(Number(/^(\d+)$/m.exec(seen)?.[1])).toBeLessThan(8);
      expect(seen).toMatch(/touch: .*Read-only file system/);
    } finally {
      delete process.env["VEXLAB_E2E_SECRET"];
    }
  });

  it("that does not compile says where", async () => {
    await put("kernel/hello.c", hello.replace("return 0", "return nought"));
    const { exitCode, message } = await failure();
    expect(exitCode).toBe(ExitCode.buildFailed);
    expect(message).toMatch(/build of module: make failed with exit status 2/);
    expect(message).toMatch(/kernel\/hello\.c:3:\d+: error: .*nought/);
    const log = /log: (.*)/.exec(message)?.[1] ?? "";
    expect(await readFile(log, "utf8")).toContain("nought");
  });

  it("whose artefact isn't made says what was", async () => {
    await manifest([], "hullo.ko");
    const { exitCode, message } = await failure();
    expect(exitCode).toBe(ExitCode.buildFailed);
    expect(message).toContain("kernel/hullo.ko was not made; there is kernel/hello.ko");
  });

  it("with a command that isn't in the image says so", async () => {
    await manifest(["no-such-program"]);
    expect(await failure()).toMatchObject({
      exitCode: ExitCode.buildFailed,
      message: expect.stringContaining("no-such-program") as unknown,
    });
  });

  it("is killed with all that it started when it is cancelled", async () => {
    await manifest(["sh", "-c", "sleep 4711.25 & setsid sleep 4711.25"]);
    const stop = new AbortController();
    const ended = failure({ signal: stop.signal });
    await expect.poll(() => runs("4711.25"), { timeout: 120_000, interval: 200 }).toBe(true);
    stop.abort();
    expect(await ended).toMatchObject({ exitCode: ExitCode.cancelled });
    await expect.poll(() => runs("4711.25"), { timeout: 10_000 }).toBe(false);
  });

  it("is killed when its deadline passes", async () => {
    await put("kernel/Kbuild", "obj-m := hello.o\n$(shell sleep 4712.25)\n");
    expect(await failure({ deadlineMs: 3000 })).toMatchObject({
      exitCode: ExitCode.hung,
      message: expect.stringContaining("did not end within 3s") as unknown,
    });
    await expect.poll(() => runs("4712.25"), { timeout: 10_000 }).toBe(false);
  });
});

describe("a build that goes on from the last one", () => {
  beforeEach(async () => {
    await put("kernel/Kbuild", "obj-m := hello.o\nhello-y := a.o b.o sub/c.o\n");
    await put("kernel/a.c", `#include "shared.h"\n${hello.replace("return 0", "return b()")}`);
    await put("kernel/b.c", '#include "shared.h"\nint b(void) { return c() - ANSWER; }\n');
    await put("kernel/sub/c.c", "int c(void);\nint c(void) { return 42; }\n");
    await put("kernel/shared.h", "#define ANSWER 42\nint b(void);\nint c(void);\n");
    await rm(join(source, "kernel/hello.c"));
  });
  const linked = ["BTF kernel/hello.ko", "LD kernel/hello.ko"];

  /** That a clean build of the same sources makes the same files, byte for byte. */
  async function expectSameAsClean({ artefactHash, folder }: BuildResult): Promise<void> {
    const file = join(folder, "kernel/hello.ko");
    const info = parseModinfo(await readFile(file));
    const clean = await build({ place: join(state, "elsewhere") });
    expect(await made(clean)).toEqual(expect.arrayContaining(["CC kernel/a.o", "CC kernel/b.o"]));
    expect(clean.artefactHash).toBe(artefactHash);
    expect(info?.get("vermagic")?.[0]).toMatch(new RegExp(`^${image.kernelRelease} SMP`));
  }

  it("compiles what a changed line is in", async () => {
    const first = await build();
    await put("kernel/sub/c.c", "int c(void);\nint c(void) { return 43; }\n");
    const result = await build();
    expect(await made(result)).toEqual([
      ...["BTF kernel/hello.ko", "CC kernel/sub/c.o", "LD kernel/hello.ko", "LD kernel/hello.o"],
      "MODPOST kernel/Module.symvers",
    ]);
    expect(result.artefactHash).not.toBe(first.artefactHash);
    await expectSameAsClean(result);
  });

  it("compiles the users of a changed header, and nothing else", async () => {
    await build();
    await put("kernel/shared.h", "#define ANSWER 41\nint b(void);\nint c(void);\n");
    const result = await build();
    expect((await made(result)).filter((line) => line.startsWith("CC"))).toEqual([
      ...["CC kernel/a.o", "CC kernel/b.o"],
    ]);
    await expectSameAsClean(result);
  });

  it("compiles nothing for a touch or a test, and takes changed flags for a change", async () => {
    await build();
    for (const path of ["kernel/a.c", "kernel/shared.h"]) await utimes(join(source, path), 1, 1);
    await put("tests/all.sh", "");
    await build();
    await put("tests/all.sh", "echo 1..0\n");
    expect(await made(await build())).toEqual(linked);
    await put("kernel/Kbuild", "obj-m := hello.o\nhello-y := a.o b.o sub/c.o\nCFLAGS_b.o := -DX\n");
    const result = await build();
    expect((await made(result)).filter((line) => line.startsWith("CC"))).toEqual(["CC kernel/b.o"]);
    await expectSameAsClean(result);
  });

  it("does not link an object whose source is gone", async () => {
    await build();
    await rm(join(source, "kernel/sub/c.c"));
    expect((await failure()).message).toMatch(/No rule to make target .*c\.o/);
    await put("kernel/Kbuild", "obj-m := hello.o\nhello-y := a.o b.o\n");
    await put("kernel/b.c", '#include "shared.h"\nint b(void) { return ANSWER; }\n');
    await expectSameAsClean(await build());
  });

  it("does not take the module's old file when it is called otherwise now", async () => {
    await build();
    await put("kernel/Kbuild", "obj-m := hullo.o\nhullo-y := a.o b.o sub/c.o\n");
    const { exitCode, message } = await failure();
    expect(exitCode).toBe(ExitCode.buildFailed);
    expect(message).toContain("kernel/hello.ko was not made; there is kernel/hullo.ko");
  });

  it("goes on after a mistake in a file with what was compiled", async () => {
    await put("kernel/b.c", "nonsense\n");
    await failure();
    await put("kernel/b.c", '#include "shared.h"\nint b(void) { return c() - ANSWER; }\n');
    const result = await build();
    expect(await made(result)).toContain("CC kernel/b.o");
    await expectSameAsClean(result);
  });

  it("is a clean one after one that was killed", async () => {
    await put(
      "kernel/Kbuild",
      "obj-m := hello.o\nhello-y := a.o b.o sub/c.o\n$(shell sleep 4713.25)\n",
    );
    await failure({ deadlineMs: 2000 });
    await put("kernel/Kbuild", "obj-m := hello.o\nhello-y := a.o b.o sub/c.o\n");
    const result = await build();
    expect((await made(result)).filter((line) => line.startsWith("CC")).length).toBeGreaterThan(3);
  });

  it("says to the editor how the user's own files are compiled", async () => {
    await build();
    const file = join(state, "builds/ci/compile_commands.json");
    const commands = JSON.parse(await readFile(file, "utf8")) as {
      directory: string;
      file: string;
      arguments: string[];
    }[];
    expect(commands.map((command) => command.file)).toEqual(
      ["a.c", "b.c", "sub/c.c"].map((name) => join(source, "kernel", name)),
    );
    for (const command of commands) {
      const folders = command.arguments.flatMap((word) => /^-I(.*)/.exec(word)?.[1] ?? []);
      const places = folders.map((folder) => resolve(command.directory, folder));
      expect(places.some((folder) => existsSync(join(folder, "linux/module.h")))).toBe(true);
      expect(places.some((folder) => existsSync(join(folder, "generated/autoconf.h")))).toBe(true);
    }
  });
});
