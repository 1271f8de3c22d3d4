import { mkdir, mkdtemp, readFile, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { buildModule, type BuildRequest } from "../../../../lab/build/build.ts";
import type { Builder, BuildJob } from "../../../../lab/build/builder.ts";
import { listFiles } from "../../../../lab/build/copy.ts";
import type { BuildResult } from "../../../../lab/build/result.ts";
import { hashSources } from "../../../../lab/build/sources.ts";
import { stepFailed } from "../../../../lab/build/steps.ts";
import { ExitCode, LabError } from "../../../../lab/config/errors.ts";
import { silentProgress } from "../../../../lab/report/progress.ts";
import { moduleFile } from "./moduleFile.ts";
import { makeTree, manifest, manifestText } from "./tree.ts";

const release = "6.1.0-test";
const image = { id: "debian-12-0123", kernelRelease: release };

let source = "";
let state = "";
let builds = 0;

beforeEach(async () => {
  source = await makeTree({ "kernel/hello.c": "int x;", "tests/all.sh": "#!/bin/sh" });
  state = await mkdtemp(join(tmpdir(), "state-"));
  builds = 0;
});

const made = (files: Record<string, string | Buffer>): Builder => ({
  on: "host",
  deadlineMs: 1000,
  async build(job: BuildJob) {
    builds++;
    const end = job.onStep("module");
    job.onOutput("CC hel");
    job.onOutput("lo.o\nLD");
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(job.folder, path)), { recursive: true });
      await writeFile(join(job.folder, path), content);
    }
    end("done");
    return listFiles(job.folder);
  },
});
const good = made({
  "kernel/hello.ko": moduleFile(`vermagic=${release} SMP\0`),
  "kernel/hello.o": "left over",
  "bin/hi": "program",
});
const failing = (error: Error): Builder => ({
  ...good,
  build(job: BuildJob) {
    job.onOutput("some output\n");
    return Promise.reject(error);
  },
});

const build = (more: Partial<BuildRequest> = {}): Promise<BuildResult> =>
  buildModule(
    { stack: "dev", source, image, builder: good, ...more },
    {
      progress: silentProgress,
      places: { checkout: "/nowhere", state, results: "/nowhere", cache: "/nowhere" },
    },
  );
/** What is left of builds but the trees in which they are done. */
const left = async (): Promise<string[]> =>
  (await readdir(join(state, "builds/dev"))).filter((name) => name !== "trees");

describe("a build", () => {
  it("keeps sources and artefacts, and nothing else that was made", async () => {
    const before = await listFiles(source);
    const result = await build();
    expect(await listFiles(result.folder)).toEqual([
      ...["bin/hi", "kernel/hello.c", "kernel/hello.ko", "tests/all.sh", "vexlab.yaml"],
    ]);
    expect(result).toMatchObject({
      imageId: image.id,
      kernelRelease: release,
      builtOn: "host",
      sourceHash: await hashSources(source, manifest),
      artefacts: [{ path: "kernel/hello.ko" }, { path: "bin/hi", bytes: 7 }],
    });
    expect(await listFiles(source)).toEqual(before);
    expect(await readFile(result.logFile, "utf8")).toBe("== module\nCC hello.o\nLD");
    expect((await left()).length).toBe(1);
  });

  it("is not done again when nothing has changed", async () => {
    expect(await build()).toEqual(await build());
    expect(builds).toBe(1);
  });

  it.each([
    ["a source", () => writeFile(join(source, "kernel/hello.c"), "int y;"), {}],
    ["the image", () => undefined, { image: { ...image, id: "debian-12-4567" } }],
    ["where it is built", () => undefined, { builder: { ...good, on: "guest" as const } }],
  ])("is done again for %s", async (_what, change, more) => {
    const first = await build();
    await change();
    expect((await build(more)).folder).not.toBe(first.folder);
    expect(builds).toBe(2);
  });

  it.each(["kernel/hello.ko", "tests/all.sh"])(
    "is done again when %s of it was changed",
    async (file) => {
      const first = await build();
      await writeFile(join(first.folder, file), "damaged");
      expect(await build()).toMatchObject({ artefactHash: first.artefactHash });
      expect(builds).toBe(2);
      expect(await readFile(join(first.folder, file), "utf8")).not.toBe("damaged");
    },
  );

  it("has the tools that the suites need, and is done again only for more of them", async () => {
    const lint = "{name: lint, command: [lint], artefacts: [lint.ktap], suites: [style]}";
    const suites = "suites: [{name: all, command: [a]}, {name: style, command: [b]}]";
    const text = manifestText.replace(/(tools: .*)\]/, `$1, ${lint}]\n${suites}`);
    await writeFile(join(source, "vexlab.yaml"), text);
    await writeFile(join(source, "lint.ktap"), "left by hand: no source");
    const tools: string[][] = [];
    const spying = (files: Record<string, string | Buffer>): Builder => ({
      ...made(files),
      build(job) {
        tools.push(job.manifest.tools.map(({ name }) => name));
        return made(files).build(job);
      },
    });
    const some = { "kernel/hello.ko": moduleFile(`vermagic=${release} SMP\0`), "bin/hi": "hi" };
    const few = spying(some);
    const all = spying({ ...some, "lint.ktap": "1..0" });
    const narrow = await build({ builder: few, suites: ["all"] });
    expect(await build({ builder: few, suites: ["all"] })).toEqual(narrow);
    const whole = await build({ builder: all });
    expect(whole.sourceHash).toBe(narrow.sourceHash);
    expect(whole.artefacts.map(({ path }) => path)).toContain("lint.ktap");
    // What has all has enough.
    expect((await build({ builder: few, suites: ["all"] })).folder).toBe(whole.folder);
    expect((await build({ builder: all, suites: ["style", "all"] })).folder).toBe(whole.folder);
    expect(tools).toEqual([["hi"], ["hi", "lint"]]);
    expect(
      (await readdir(join(state, "builds/dev/trees"))).filter((name) => !name.includes(".")),
    ).toHaveLength(1);
  });

  it("is the same for two at once", async () => {
    const [one, other] = await Promise.all([build(), build()]);
    expect({ ...one, seconds: 0 }).toEqual({ ...other, seconds: 0 });
    expect(await left()).toHaveLength(1);
  });

  it("keeps the last five that were used", async () => {
    const first = await build();
    for (let version = 1; version <= 6; version++) {
      await writeFile(join(source, "kernel/hello.c"), `int x = ${version};`);
      const { folder } = await build();
      // Later ones were used later, also where the clock is coarse; the first is used all the time.
      await utimes(dirname(folder), version, version);
      await utimes(dirname(first.folder), 100, 100);
    }
    expect(await left()).toHaveLength(5);
    expect((await stat(first.folder)).isDirectory()).toBe(true);
  });

  it("clears what a killed build left", async () => {
    await mkdir(join(state, "builds/dev/.building-999999999-0"), { recursive: true });
    await build();
    expect(await left()).toHaveLength(1);
  });
});

describe("a failing build", () => {
  const step = {
    ...{ name: "module", folder: "/mnt/vexlab-build/kernel", argv: ["make"] },
    failsCleanly: true,
  };
  const broken = failing(
    stepFailed(step, {
      exitCode: 2,
      signal: null,
      output: "/mnt/vexlab-build/kernel/hello.c:1:5: error: no\n",
    }),
  );

  it("says what failed and keeps only its log", async () => {
    const error = (await build({ builder: broken }).catch((cause: unknown) => cause)) as LabError;
    expect(error.exitCode).toBe(ExitCode.buildFailed);
    expect(error.message).toMatch(/^build of module: make failed with exit status 2$/m);
    expect(error.message).toMatch(/^ {2}kernel\/hello\.c:1:5: error: no$/m);
    const log = /log: (.*)$/m.exec(error.message)?.[1] ?? "";
    expect(await readFile(log, "utf8")).toContain("some output\n");
    expect(await left()).toEqual([expect.stringMatching(/^failed-.*\.log$/)]);
  });

  it.each([
    [
      "the compiler says so",
      stepFailed(step, {
        exitCode: 2,
        signal: null,
        output: "/tmp/cc1.s: error: no\nfatal error: hello.o: No space left on device\n",
      }),
    ],
    ["we notice", Object.assign(new Error("ENOSPC: no space left"), { code: "ENOSPC" })],
  ])("of a disk that is full, which %s, is the host's failure", async (_who, error) => {
    await expect(build({ builder: failing(error) })).rejects.toMatchObject({
      exitCode: ExitCode.infrastructureFailed,
      message: expect.stringMatching(
        /builds\/dev can't be written: (?:.|\n)*; \d+ bytes are left there$/,
      ) as unknown,
    });
  });

  it("keeps the logs of the last five", async () => {
    for (let i = 0; i < 7; i++) {
      await build({ builder: broken }).catch(() => undefined);
    }
    expect(await left()).toHaveLength(5);
  });

  it("leaves the last good result alone", async () => {
    const { folder } = await build();
    await writeFile(join(source, "kernel/hello.c"), "int;;");
    await expect(build({ builder: broken })).rejects.toThrow(LabError);
    expect((await stat(folder)).isDirectory()).toBe(true);
  });

  it.each([
    [
      "an artefact that isn't made",
      { "bin/hi": "" },
      /kernel\/hello\.ko was not made; no \.ko file/,
    ],
    [
      "another one that is",
      { "bin/hi": "", "kernel/hullo.ko": "" },
      /hello\.ko was not made; there is kernel\/hullo\.ko/,
    ],
    ["no module", { "bin/hi": "", "kernel/hello.ko": "text" }, /hello\.ko is not a kernel module/],
    [
      "a module for another kernel",
      { "bin/hi": "", "kernel/hello.ko": moduleFile("vermagic=5.10.0 SMP\0") },
      /hello\.ko was built for kernel 5\.10\.0, the image has 6\.1\.0-test/,
    ],
    [
      "several at once",
      { "kernel/hello.ko": "text" },
      /hello\.ko is not a kernel module.*bin\/hi was not made; no file called hi/,
    ],
  ])("names %s", async (_what, files, message) => {
    const error: unknown = await build({ builder: made(files) }).catch((cause: unknown) => cause);
    expect(error).toMatchObject({
      exitCode: ExitCode.buildFailed,
      message: expect.stringMatching(message) as unknown,
    });
  });

  it("names a source folder that has no manifest or is not there", async () => {
    await rm(join(source, "vexlab.yaml"));
    for (const folder of [source, "/no/such/folder"]) {
      await expect(build({ source: folder })).rejects.toMatchObject({ exitCode: ExitCode.usage });
    }
  });
});
