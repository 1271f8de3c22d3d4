import { writeFileSync } from "node:fs";
import { mkdtemp, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ExitCode, LabError } from "../../../../lab/config/errors.ts";
import { parseManifest } from "../../../../lab/config/manifest.ts";
import { GuestError } from "../../../../lab/guest/session.ts";
import { silentProgress } from "../../../../lab/report/progress.ts";
import { Phases } from "../../../../lab/report/phases.ts";
import { reportFormat } from "../../../../lab/report/json.ts";
import { readLastVerdict } from "../../../../lab/run/lastVerdict.ts";
import { oneAtATime, type GuestSource } from "../../../../lab/run/openGuest.ts";
import type { TestRequest } from "../../../../lab/run/testRequest.ts";
import { lastFailureFile, testRun } from "../../../../lab/run/testRun.ts";
import { FakeGuest, type Answer } from "./fakeGuest.ts";

let folder: string;
let request: TestRequest;
const hash = "0".repeat(64);
const only = (...suites: string[]) => ({ suites, cases: [], tags: [] });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-run-"));
  request = {
    stack: "dev",
    guest: {
      stackFolder: join(folder, "stacks", "dev"),
      address: {
        host: "127.0.0.1",
        port: 1,
        user: "vexfs",
        privateKeyFile: join(folder, "key"),
        knownHostsFile: join(folder, "known_hosts"),
      },
      consoleFile: join(folder, "console.log"),
      domain: "none",
      libvirtUri: `qemu:///session?socket=${join(folder, "no-libvirt")}`,
      bootMs: 1_000,
    },
    build: {
      sourceHash: hash,
      artefactHash: hash,
      imageId: "debian-12-0",
      kernelRelease: "6.1.0",
      builtOn: "host",
      folder,
      artefacts: [],
      seconds: 1,
      logFile: join(folder, "build.log"),
    },
    manifest: parseManifest(
      "name: hello\nmodule: { artefacts: [hello.ko] }\nsuites: [{ name: a, command: [a] }]\n",
    ),
    results: join(folder, "results"),
    stopAfter: false,
    panicOnOops: "never",
    lastWordsMs: 50,
  };
});
afterEach(() => rm(folder, { recursive: true }));

it("of another module than the stack's leaves no verdict of the stack's", async () => {
  const report = await testRun({ ...request, otherSource: true }, silentProgress);
  expect(report.verdict).toBe("infrastructure-failed");
  expect(await readlink(join(request.results, "latest"))).toBe(report.runId);
  const { stackFolder } = request.guest;
  expect(await readLastVerdict(stackFolder)).toBeUndefined();
  await expect(readFile(lastFailureFile(stackFolder))).rejects.toThrow("ENOENT");
});

it("ends in a verdict with results and markers even when there is no libvirt", async () => {
  const report = await testRun(request, silentProgress);
  expect(report).toMatchObject({ verdict: "infrastructure-failed", exitCode: 3, stack: "dev" });
  expect(report.reason).toMatch(/^virsh domstate none: /);
  expect(report.suites.map((suite) => suite.ending)).toEqual(["notRun"]);

  const json = JSON.parse(await readFile(report.files.json, "utf8")) as object;
  expect(json).toEqual({ format: reportFormat, ...report });
  expect(await readFile(report.files.junit, "utf8")).toContain('type="infrastructure-failed"');
  expect(await readFile(report.files.log, "utf8")).toContain(
    "INFRASTRUCTURE-FAILED virsh domstate",
  );
  expect(await readlink(join(request.results, "latest"))).toBe(report.runId);

  const { stackFolder } = request.guest;
  expect(await readFile(lastFailureFile(stackFolder), "utf8")).toBe(`${report.runId}\n`);
  const { runId, verdict, exitCode, reason } = report;
  expect(await readLastVerdict(stackFolder)).toMatchObject({ runId, verdict, exitCode, reason });
});

it("is cancelled, not broken, when the user cancels while the guest is being reached", async () => {
  const report = await testRun(request, silentProgress, AbortSignal.abort());
  expect(report).toMatchObject({ verdict: "cancelled", exitCode: 130 });
});

it("leaves no results behind for a suite that does not exist", async () => {
  await expect(testRun({ ...request, selection: only("b") }, silentProgress)).rejects.toMatchObject(
    {
      exitCode: 2,
    },
  );
  await expect(readFile(request.results)).rejects.toMatchObject({ code: "ENOENT" });
});

describe("several suites at once", () => {
  const ktap = "KTAP version 1\n1..1\nok 1 works\n";
  const answers: Record<string, Answer> = {
    // The first takes longest.
    "tests/a": {
      stdout: "KTAP version 1\n1..1\n",
      drip: { pieces: ["ok 1 works\n"], pauseMs: 80 },
    },
    "tests/b": { stdout: ktap },
    "tests/c": { stdout: ktap, drip: { pieces: ["# late\n"], pauseMs: 20 } },
    "tests/d": { stdout: ktap },
  };
  let open: number;
  let most: number;
  let opened: string[];
  let closed: string[];

  beforeEach(() => {
    [open, most, opened, closed] = [0, 0, [], []];
    const suites = ["a", "b", "c", "d"].map(
      (name) => `{ name: ${name}, command: [tests/${name}] }`,
    );
    const text = `name: hello\nmodule: { artefacts: [hello.ko] }\nsuites: [${suites.join(", ")}]\n`;
    request = {
      ...request,
      manifest: parseManifest(text),
      build: { ...request.build, kernelRelease: "6.1.0-test" },
      jobs: 2,
    };
  });

  const source =
    (special: Record<string, () => unknown> = {}): GuestSource =>
    async (plan) => {
      const name = plan.suites.map((suite) => suite.name).join("+");
      opened.push(name);
      await delay(1);
      await special[name]?.();
      most = Math.max(most, ++open);
      const guest = new FakeGuest();
      guest.answers.push(...Object.entries(answers));
      const close = async (): Promise<void> => {
        await delay(1);
        open -= 1;
        closed.push(name);
      };
      return { guest, consoleFile: join(folder, `${name}.log`), domain: name, fresh: true, close };
    };

  it("are told in the manifest's order, whichever ends first, and no more run than asked for", async () => {
    const phases = new Phases();
    const report = await testRun({ ...request, source: source(), phases }, silentProgress);
    expect(report).toMatchObject({ verdict: "passed", reason: "4 cases in 4 suites passed" });
    expect(report.suites.map(({ name }) => name)).toEqual(["a", "b", "c", "d"]);
    expect(closed[0]).toBe("b");
    expect(closed.toSorted()).toEqual(["a", "b", "c", "d"]);
    expect(most).toBe(2);
    expect(report.phases?.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["guest", "end"]),
    );
  });

  it("are one guest's with one job, and when there is but one of them", async () => {
    await testRun({ ...request, source: source(), jobs: 1 }, silentProgress);
    await testRun({ ...request, source: source(), selection: only("b") }, silentProgress);
    expect(opened).toEqual(["a+b+c+d", "b"]);
    expect(closed).toEqual(opened);
  });

  it("go on in another guest after a crash, as long as each comes further", async () => {
    const panic = "[    9.1] Kernel panic - not syncing: Fatal exception\r\n";
    const dying: GuestSource = async (plan, ...rest) => {
      const { guest, ...opened } = await source()(plan, ...rest);
      const dies = (suite: string): [string, Answer] => [
        `tests/${suite}`,
        {
          stdout: "KTAP version 1\n1..1\n",
          then: () => writeFileSync(opened.consoleFile, panic),
          fails: new GuestError("lost", "connection lost"),
        },
      ];
      (guest as FakeGuest).answers.unshift(dies("b"), dies("d"));
      return { guest, ...opened };
    };
    const report = await testRun({ ...request, source: dying, jobs: 1 }, silentProgress);
    expect(opened).toEqual(["a+b+c+d", "c+d"]);
    expect(closed).toEqual(opened);
    expect(report).toMatchObject({
      verdict: "crashed",
      reason: expect.stringContaining("during suite b") as string,
    });
    expect(report.suites.map(({ name, ending }) => `${name} ${ending}`)).toEqual([
      ...["a exited", "b connectionLost", "c exited", "d connectionLost"],
    ]);
  });

  describe("whose guest is lost without a crash", () => {
    /** A source whose guests of these numbers are lost in a suite. */
    const losing =
      (suite: string, ...numbers: number[]): GuestSource =>
      async (...run) => {
        const open = await source()(...run);
        if (numbers.includes(opened.length)) {
          const fails = new GuestError("lost", `connection ${opened.length} lost`);
          (open.guest as FakeGuest).answers.unshift([
            `tests/${suite}`,
            { stdout: "KTAP version 1\n1..1\n", fails },
          ]);
        }
        return open;
      };

    it("run once more in another one, with what was not judged, and it is told", async () => {
      const report = await testRun({ ...request, source: losing("b", 1), jobs: 1 }, silentProgress);
      expect(opened).toEqual(["a+b+c+d", "b+c+d"]);
      expect(closed).toEqual(opened);
      expect(report).toMatchObject({ verdict: "passed", reason: "4 cases in 4 suites passed" });
      expect(report.suites.map(({ ending }) => ending)).toEqual(Array(4).fill("exited"));
      expect(report.retried).toEqual([
        { reason: expect.stringContaining("connection 1 lost") as string, suites: ["b", "c", "d"] },
      ]);
      expect(await readFile(report.files.log, "utf8")).toContain("in another guest again: b, c, d");
    });

    it("are not run a third time", async () => {
      const twice = losing("b", 1, 2, 3);
      const report = await testRun({ ...request, source: twice, jobs: 1 }, silentProgress);
      expect(opened).toHaveLength(2);
      expect(report.verdict).toBe("infrastructure-failed");
      expect(report.reason).toMatch(/connection 2 lost; before that, .*connection 1 lost$/);
      expect(report.retried).toHaveLength(1);
      expect(report.suites.map(({ ending }) => ending)).toEqual([
        ...["exited", "connectionLost", "notRun", "notRun"],
      ]);
    });

    it("each have another one, side by side", async () => {
      const once = losing("b", 2);
      const two = { ...request, source: once, selection: only("a", "b"), jobs: 2 };
      const report = await testRun(two, silentProgress);
      expect(opened.toSorted()).toEqual(["a", "b", "b"]);
      expect(report).toMatchObject({ verdict: "passed", retried: [{ suites: ["b"] }] });
    });
  });

  it("run in the second guest when there was no first", async () => {
    let asked = 0;
    const none = (): void => {
      if (++asked === 1) throw new LabError("no memory", ExitCode.infrastructureFailed);
    };
    const late = { ...request, source: source({ "a+b": none }), selection: only("a", "b") };
    const report = await testRun({ ...late, jobs: 1 }, silentProgress);
    expect(report).toMatchObject({ verdict: "passed", retried: [{ reason: "no memory" }] });
  });

  it("go on without the one that gets no guest", async () => {
    const none = (): never => {
      throw new LabError("no memory\nfor it", ExitCode.infrastructureFailed);
    };
    const report = await testRun({ ...request, source: source({ b: none }) }, silentProgress);
    expect(report).toMatchObject({
      verdict: "infrastructure-failed",
      reason: "no memory, twice",
      exitCode: 3,
    });
    expect(report.suites.map(({ ending }) => ending)).toEqual([
      ...["exited", "notRun", "exited", "exited"],
    ]);
  });

  it("that are cancelled open no more guests and close those that are open", async () => {
    const cancel = new AbortController();
    // What a program that was ended with us fails with, is no LabError.
    const interrupted = async (): Promise<never> => {
      await delay(10);
      cancel.abort();
      throw new Error("qemu-img was killed with SIGINT");
    };
    const running = source({ b: interrupted });
    const report = await testRun({ ...request, source: running }, silentProgress, cancel.signal);
    expect(report).toMatchObject({ verdict: "cancelled", exitCode: 130 });
    expect(opened).toEqual(["a", "b"]);
    expect(closed).toEqual(["a"]);
    expect(report.suites.map(({ ending }) => ending)).toEqual([
      ...["cancelled", "notRun", "notRun", "notRun"],
    ]);
  });

  it("leave no guest behind when one of them meets a bug", async () => {
    const bug = (): never => {
      throw new TypeError("undefined is not a function");
    };
    const broken = testRun({ ...request, source: source({ b: bug }) }, silentProgress);
    await expect(broken).rejects.toThrow(TypeError);
    expect(closed.toSorted()).toEqual(["a", "c", "d"]);
  });

  it("take a guest that is the same for all one after the other", async () => {
    const fail = (): never => {
      throw new LabError("not this time", ExitCode.hung);
    };
    const shared = oneAtATime(source({ b: fail }));
    const report = await testRun({ ...request, source: shared, jobs: 4 }, silentProgress);
    expect(most).toBe(1);
    expect(closed).toEqual(["a", "c", "d"]);
    expect(report).toMatchObject({ verdict: "hung", reason: "not this time" });
  });
});
