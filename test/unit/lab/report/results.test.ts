import { mkdtemp, mkdir, open, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LabError } from "../../../../lab/config/errors.ts";
import { logFile } from "../../../../lab/report/log.ts";
import { claimRunFiles, pointLatest, timestampName } from "../../../../lab/report/results.ts";

let results: string;
const at = new Date("2026-11-22T16:35:12.345Z");

beforeEach(async () => {
  results = join(await mkdtemp(join(tmpdir(), "vexlab-results-")), "test_results");
});
afterEach(() => rm(join(results, ".."), { recursive: true, force: true }));

async function claim(
  stack = "dev",
  when = at,
): Promise<{ runId: string; log: string; folder: string }> {
  const files = await claimRunFiles(results, stack, when);
  await files.logHandle.close();
  return files;
}

describe("names of a run", () => {
  it("are the timestamp and the stack", async () => {
    expect(timestampName(at)).toBe("20261122-163512-345");
    expect((await claim()).runId).toBe("20261122-163512-345-dev");
    expect(await readdir(results)).toEqual([
      "20261122-163512-345-dev",
      "test_log_20261122-163512-345.txt",
    ]);
  });

  it("differ for runs that start in the same millisecond, of one stack or of two", async () => {
    const stacks = ["dev", "dev", "ci", "dev", "ci"];
    const runs = await Promise.all(stacks.map((stack) => claim(stack)));
    expect(new Set(runs.map((run) => run.runId)).size).toBe(5);
    expect(new Set(runs.map((run) => run.log)).size).toBe(5);
    expect(new Set(runs.map((run) => run.folder)).size).toBe(5);
  });

  it("lead from the run's folder to its log", async () => {
    const files = await claimRunFiles(results, "dev", at);
    const log = logFile(files.logHandle);
    log.write("first\nsecond\n");
    await log.close();
    const text = await readFile(join(files.folder, "log.txt"), "utf8");
    expect(text).toMatch(/^\[ +\d+\.\d{3}\] first\n\[ +\d+\.\d{3}\] second\n$/);
  });

  it("are told when the disk under the log is full, with what is left of it", async () => {
    const log = logFile(await open("/dev/full", "w"));
    log.write("first\n");
    await expect(log.close()).rejects.toMatchObject({
      exitCode: 3,
      message: expect.stringMatching(
        /^\/dev\/full can't be written: ENOSPC: .*; \d+ bytes are left there$/,
      ) as string,
    });
  });

  it("are shown harmlessly by cat", async () => {
    const files = await claimRunFiles(results, "dev", at);
    const log = logFile(files.logHandle);
    log.write("a\tb\u001b[2J\r\u0000\u009b31mé");
    await log.close();
    expect(await readFile(files.log, "utf8")).toContain("] a\tb\\x1b[2J\\x0d\\x00\\x9b31mé\n");
  });

  it("don't fill the disk; the last of the output is kept", async () => {
    const files = await claimRunFiles(results, "dev", at);
    const log = logFile(files.logHandle, 10_000, 1000);
    for (let line = 0; line < 10_000; line++) log.write(`line ${line}`);
    await log.close();
    const text = await readFile(files.log, "utf8");
    expect(text.length).toBeGreaterThan(11_000);
    expect(text.length).toBeLessThan(12_500);
    expect(text).toContain("] line 0\n");
    expect(text).toMatch(/\n\[the log is full: \d+ characters of the output are not kept\]\n/);
    expect(text).toMatch(/ line 9998\n.* line 9999\n$/);
  });

  it("can't be claimed where nothing can be written: an error that says what to do", async () => {
    await writeFile(results, "a file in the way");
    const claiming = claim();
    await expect(claiming).rejects.toThrow(LabError);
    await expect(claiming).rejects.toMatchObject({ exitCode: 3, next: /VEXLAB_RESULTS_DIR/ });
  });
});

describe("latest", () => {
  it("moves to a newer run and stays when an older one ends later", async () => {
    const older = await claim("dev", at);
    const newer = await claim("ci", new Date(at.getTime() + 5));
    await pointLatest(results, newer.runId);
    await pointLatest(results, older.runId);
    expect(await readlink(join(results, "latest"))).toBe(newer.runId);
    const newest = await claim("ci", new Date(at.getTime() + 9));
    await pointLatest(results, newest.runId);
    expect(await readlink(join(results, "latest"))).toBe(newest.runId);
  });

  it("prefers the second run of a millisecond", async () => {
    const first = await claim();
    const second = await claim();
    await pointLatest(results, second.runId);
    await pointLatest(results, first.runId);
    expect(await readlink(join(results, "latest"))).toBe(second.runId);
  });

  it("leaves a newer run that was deleted", async () => {
    const older = await claim("dev", at);
    await pointLatest(results, (await claim("dev", new Date(at.getTime() + 5))).runId);
    await rm(join(results, "20261122-163512-350-dev"), { recursive: true });
    await pointLatest(results, older.runId);
    expect(await readlink(join(results, "latest"))).toBe(older.runId);
  });

  it("does not replace a folder of the user's, and leaves nothing behind", async () => {
    const { runId } = await claim();
    await mkdir(join(results, "latest"));
    await expect(pointLatest(results, runId)).rejects.toThrow(/not a link that vexlab can replace/);
    expect((await readdir(results)).filter((name) => name.startsWith("latest"))).toEqual([
      "latest",
    ]);
  });
});
