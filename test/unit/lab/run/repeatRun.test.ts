import { mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ExitCode, LabError } from "../../../../lab/config/errors.ts";
import { parseManifest } from "../../../../lab/config/manifest.ts";
import { silentProgress } from "../../../../lab/report/progress.ts";
import { reportFormat } from "../../../../lab/report/json.ts";
import { readLastVerdict } from "../../../../lab/run/lastVerdict.ts";
import type { GuestSource } from "../../../../lab/run/openGuest.ts";
import { repeatRun } from "../../../../lab/run/repeatRun.ts";
import type { TestRequest } from "../../../../lab/run/testRequest.ts";
import { FakeGuest } from "./fakeGuest.ts";

let folder: string;
let guests: FakeGuest[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-repeat-"));
  guests = [];
});
afterEach(() => rm(folder, { recursive: true }));

/** Guests of which the n-th (from 1) says what `special` has for it, the others that all is well. */
function source(special: Record<number, string | (() => never)> = {}): GuestSource {
  return () => {
    const guest = new FakeGuest();
    const number = guests.push(guest);
    const said = special[number] ?? "1..1\nok 1 works\n";
    if (typeof said === "function") said();
    guest.answers.push(["tests/", { stdout: said as string }]);
    const consoleFile = join(folder, `${number}.log`);
    const close = (): Promise<void> => Promise.resolve();
    return Promise.resolve({ guest, consoleFile, domain: "d", fresh: true, close });
  };
}

function request(of: GuestSource, seed?: number): TestRequest {
  const hash = "0".repeat(64);
  const suites = ["a", "b", "c", "d", "e"].map((name) => `{ name: ${name}, command: [tests/x] }`);
  const build = { sourceHash: hash, artefactHash: hash, imageId: "debian-12-0", folder };
  return {
    stack: "dev",
    guest: {
      stackFolder: join(folder, "stacks"),
      address: { host: "127.0.0.1", port: 1, user: "u", privateKeyFile: "k", knownHostsFile: "h" },
      consoleFile: join(folder, "console.log"),
      domain: "none",
      libvirtUri: `qemu:///session?socket=${join(folder, "no-libvirt")}`,
      bootMs: 1_000,
    },
    build: {
      ...{ ...build, kernelRelease: "6.1.0-test", builtOn: "host", artefacts: [] },
      ...{ seconds: 1, logFile: join(folder, "build.log") },
    },
    manifest: parseManifest(
      `name: hello\nmodule: { artefacts: [hello.ko] }\nsuites: [${suites.join(", ")}]\n`,
    ),
    results: join(folder, "results"),
    stopAfter: false,
    panicOnOops: "never",
    source: of,
    ...(seed !== undefined && { seed }),
  };
}

const bad = "1..1\n# got 4\nnot ok 1 sum\n";
const runs = async (): Promise<string[]> =>
  (await readdir(join(folder, "results"))).filter((name) => name.endsWith("-dev"));

describe("repetitions", () => {
  it("that all pass leave the last one's results", async () => {
    const times = { most: 3, untilFail: false };
    const report = await repeatRun(request(source()), times, silentProgress);
    expect(report).toMatchObject({ verdict: "passed", repetition: { number: 3, most: 3 } });
    expect(report.repetitions?.map(({ verdict }) => verdict)).toEqual(Array(3).fill("passed"));
    expect(await runs()).toEqual([report.runId]);
    expect(await readlink(join(folder, "results/latest"))).toBe(report.runId);
    expect((await readdir(join(folder, "results"))).length).toBe(3);
  });

  it("go on after one that fails, whose results and verdict are those of all", async () => {
    const times = { most: 4, untilFail: false };
    const lines: string[] = [];
    const progress = { ...silentProgress, line: (text: string) => void lines.push(text) };
    const report = await repeatRun(request(source({ 2: bad, 3: bad })), times, progress);
    expect(guests.length).toBe(4);
    expect(report).toMatchObject({
      verdict: "failed",
      exitCode: 1,
      reason: 'repetition 2 of 4: suite a, case "sum" failed (got 4) and 4 more',
      repetition: { number: 2, most: 4 },
    });
    expect(report.repetitions?.map(({ verdict, runId }) => [verdict, runId !== undefined])).toEqual(
      [
        ["passed", false],
        ["failed", true],
        ["failed", true],
        ["passed", false],
      ],
    );
    expect((await runs()).length).toBe(2);
    expect(await readlink(join(folder, "results/latest"))).toBe(report.runId);
    const written = JSON.parse(await readFile(report.files.json, "utf8")) as object;
    expect(written).toEqual({ format: reportFormat, ...report });
    const { runId, verdict, exitCode, reason } = report;
    const last = await readLastVerdict(join(folder, "stacks"));
    expect(last).toMatchObject({ runId, verdict, exitCode, reason });
  });

  it("until one fails end with it", async () => {
    const times = { most: 100, untilFail: true };
    const report = await repeatRun(request(source({ 3: bad })), times, silentProgress);
    expect(guests.length).toBe(3);
    expect(report.reason).toMatch(/^repetition 3 of 100: /);
    expect(await runs()).toEqual([report.runId]);
  });

  it("that find the graver later tell of that one", async () => {
    const crash = (): string => "1..1\nok 1 works\n";
    const dying: GuestSource = async (...run) => {
      const open = await source({ 1: bad, 2: crash() })(...run);
      if (guests.length === 2)
        (open.guest as FakeGuest).answers.unshift([
          "tests/",
          { stdout: crash(), then: () => guests[1]?.kernelLog.push("[ 3.0] BUG: x") },
        ]);
      return open;
    };
    const report = await repeatRun(request(dying), { most: 3, untilFail: false }, silentProgress);
    expect(report).toMatchObject({ verdict: "crashed", repetition: { number: 2 } });
  });

  it("end at once when there is no guest to be had, or when they are cancelled", async () => {
    const none = (): never => {
      throw new LabError("no memory", ExitCode.infrastructureFailed);
    };
    const times = { most: 5, untilFail: false };
    const report = await repeatRun(request(source({ 2: none, 3: none })), times, silentProgress);
    expect(report).toMatchObject({ verdict: "infrastructure-failed", repetition: { number: 2 } });
    expect(report.repetitions).toHaveLength(2);
    guests = [];
    const cancel = new AbortController();
    const cancelling: GuestSource = (...run) => {
      if (guests.length === 1) cancel.abort();
      return source()(...run);
    };
    const cut = await repeatRun(request(cancelling), times, silentProgress, cancel.signal);
    expect(cut.repetitions).toHaveLength(2);
    expect(cut).toMatchObject({ verdict: "cancelled", exitCode: 130, repetition: { number: 2 } });
    expect(guests.length).toBe(2);
  });

  it("have each an order of their own, which a seed gives again", async () => {
    const times = { most: 2, untilFail: false };
    const orders = async (seed: number): Promise<string[]> => {
      const seen: string[] = [];
      const spying: GuestSource = (plan, ...run) => {
        seen.push(plan.suites.map(({ name }) => name).join(""));
        expect(plan.environment["VEXLAB_SEED"]).toBe(`${seed + seen.length - 1}`);
        return source()(plan, ...run);
      };
      const report = await repeatRun(request(spying, seed), times, silentProgress);
      expect(report.repetitions?.map((each) => each.seed)).toEqual([seed, seed + 1]);
      expect(report.suites.map(({ name }) => name).join("")).toBe(seen[1]);
      return seen;
    };
    const first = await orders(1);
    expect(first[0]).not.toBe(first[1]);
    expect(await orders(1)).toEqual(first);
    expect((await orders(2))[0]).toBe(first[1]);
  });
});
