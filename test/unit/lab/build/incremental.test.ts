/** How a build goes on from what the last one left, with builders that do what make does. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeEach, expect, it } from "vitest";
import { buildModule } from "../../../../lab/build/build.ts";
import type { Builder, BuildJob } from "../../../../lab/build/builder.ts";
import { listFiles } from "../../../../lab/build/copy.ts";
import type { BuildResult } from "../../../../lab/build/result.ts";
import { stepFailed } from "../../../../lab/build/steps.ts";
import { ExitCode, LabError } from "../../../../lab/config/errors.ts";
import { silentProgress } from "../../../../lab/report/progress.ts";
import { moduleFile } from "./moduleFile.ts";
import { makeTree } from "./tree.ts";

const release = "6.1.0-test";
const image = { id: "debian-12-0123", kernelRelease: release };

let source = "";
let state = "";
/** What each build found in the tree beside the sources. */
let found: string[][] = [];

beforeEach(async () => {
  source = await makeTree({ "kernel/hello.c": "1" });
  state = await mkdtemp(join(tmpdir(), "state-"));
  found = [];
  return async () => {
    await rm(source, { recursive: true });
    await rm(state, { recursive: true });
  };
});

/** Makes the artefacts and `kernel/hello.o`; then `more` has its way. */
const builder = (more: (job: BuildJob) => Promise<void> = () => Promise.resolve()): Builder => ({
  on: "host",
  deadlineMs: 10_000,
  async build(job) {
    const sources = ["kernel/hello.c", "vexlab.yaml"];
    found.push((await listFiles(job.folder)).filter((path) => !sources.includes(path)));
    const text = await readFile(join(job.folder, "kernel/hello.c"), "utf8");
    await mkdir(join(job.folder, "bin"), { recursive: true });
    await writeFile(join(job.folder, "kernel/hello.o"), text);
    const module = moduleFile(`vermagic=${release} SMP\0text=${text}\0`);
    await writeFile(join(job.folder, "kernel/hello.ko"), module);
    await writeFile(join(job.folder, "bin/hi"), text);
    await more(job);
    return listFiles(job.folder);
  },
});

const build = (by: Builder = builder(), clean = false): Promise<BuildResult> =>
  buildModule(
    { stack: "dev", source, image, builder: by, clean },
    { progress: silentProgress, places: { checkout: "/", state, results: "/", cache: "/" } },
  );
const edit = (text: string): Promise<void> => writeFile(join(source, "kernel/hello.c"), text);
const step = { name: "module", folder: "/", argv: ["make"] };
const ending =
  (error: Error): (() => Promise<void>) =>
  () =>
    Promise.reject(error);

it("a build finds what the last one left, but for the artefacts", async () => {
  await build();
  await edit("2");
  const { folder } = await build();
  expect(found).toEqual([[], ["kernel/hello.o"]]);
  expect(await listFiles(folder)).toEqual([
    ...["bin/hi", "kernel/hello.c", "kernel/hello.ko", "vexlab.yaml"],
  ]);
  expect(await readFile(join(folder, "bin/hi"), "utf8")).toBe("2");
});

it("a build goes on from one that did not compile", async () => {
  const end = { exitCode: 2, signal: null, output: "" };
  const failing = builder(ending(stepFailed({ ...step, failsCleanly: true }, end)));
  await expect(build(failing)).rejects.toMatchObject({ exitCode: ExitCode.buildFailed });
  await build();
  expect(found).toEqual([[], ["kernel/hello.o"]]);
});

it.each([
  ["was cancelled", new LabError("cancelled", ExitCode.cancelled)],
  ["took too long", new LabError("hung", ExitCode.hung)],
  ["ended for an unknown reason", new Error("?")],
  [
    "was killed, as make tells it",
    stepFailed({ ...step, failsCleanly: true }, { exitCode: 137, signal: null, output: "" }),
  ],
  [
    "was killed with its sandbox",
    stepFailed({ ...step, failsCleanly: true }, { exitCode: null, signal: "SIGKILL", output: "" }),
  ],
  [
    "failed in a command that may leave half a file",
    stepFailed({ ...step, failsCleanly: false }, { exitCode: 1, signal: null, output: "" }),
  ],
])("a build after one that %s is a clean one", async (_what, error) => {
  await build();
  await edit("2");
  await expect(build(builder(ending(error)))).rejects.toThrow();
  await build();
  expect(found).toEqual([[], ["kernel/hello.o"], []]);
});

it("an artefact that is no longer made is not taken from the last build", async () => {
  const forgetful = builder(({ folder }) => rm(join(folder, "bin/hi")));
  await build();
  await edit("2");
  await expect(build(forgetful)).rejects.toThrow(/bin\/hi was not made; no file called hi/);
  expect(found).toEqual([[], ["kernel/hello.o"], []]);
});

it("a command that keeps a stamp of its own builds again from nothing", async () => {
  const stamping = builder(async ({ folder }) => {
    if (existsSync(join(folder, "stamp"))) await rm(join(folder, "bin/hi"));
    await writeFile(join(folder, "stamp"), "");
  });
  await build(stamping);
  await edit("2");
  const { folder, logFile } = await build(stamping);
  expect(await readFile(join(folder, "bin/hi"), "utf8")).toBe("2");
  expect(await readFile(logFile, "utf8")).toContain("building again from nothing");
  expect(found).toEqual([[], ["kernel/hello.o", "stamp"], []]);
});

it("a clean build begins with nothing, also when all is built", async () => {
  const first = await build();
  expect(await build(builder(), true)).toEqual(first);
  expect(found).toEqual([[], []]);
});

it("a clean build replaces a result that it does not come to", async () => {
  const first = await build();
  const other = builder(({ folder }) => writeFile(join(folder, "bin/hi"), "right"));
  expect((await build(other, true)).artefactHash).not.toBe(first.artefactHash);
  expect(await readFile(join(first.folder, "bin/hi"), "utf8")).toBe("right");
});

it("two builds at once of the same build once", async () => {
  const slow = builder(() => new Promise((resolve) => setTimeout(resolve, 100)));
  const [one, other] = await Promise.all([build(slow), build(slow)]);
  expect(one).toEqual(other);
  expect(found).toHaveLength(1);
});

it("two builds at once of different sources come one after the other", async () => {
  let running = 0;
  const alone = builder(async () => {
    expect(++running).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    running--;
  });
  const other = await makeTree({ "kernel/hello.c": "2" });
  const building = build(alone);
  const first = source;
  source = other;
  const results = await Promise.all([building, build(alone)]);
  source = first;
  await rm(other, { recursive: true });
  const texts = results.map(({ folder }) => readFile(join(folder, "bin/hi"), "utf8"));
  expect(await Promise.all(texts)).toEqual(["1", "2"]);
  expect(found).toHaveLength(2);
});

it("a build in the guest is always a clean one", async () => {
  const guest = { ...builder(), on: "guest" as const };
  await build(guest);
  await edit("2");
  await build(guest);
  expect(found).toEqual([[], []]);
  expect(existsSync(join(state, "builds/dev/trees"))).toBe(false);
});

it("a damaged tree folder is no obstacle", async () => {
  const { folder } = await build();
  const trees = join(dirname(dirname(folder)), "trees");
  for (const file of await listFiles(trees)) await rm(join(trees, file));
  await edit("2");
  expect(await readFile(join((await build()).folder, "bin/hi"), "utf8")).toBe("2");
});
