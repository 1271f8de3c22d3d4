import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { locksOf, removeLocks } from "../../../toolchain/stateLock.ts";

let backend: string;
let folder: string;

beforeEach(async () => {
  backend = await mkdtemp(join(tmpdir(), "vexlab-backend-"));
  folder = join(backend, ".pulumi", "locks", "organization", "vexlab", "dev");
  await mkdir(folder, { recursive: true });
});

afterEach(async () => rm(backend, { recursive: true }));

async function leave(name: string, pid: number, host = hostname()): Promise<void> {
  const content = { pid, username: "alice", hostname: host, timestamp: "2026-01-02T03:04:05Z" };
  await writeFile(join(folder, `${name}.json`), JSON.stringify(content));
}

const running = (pid: number): Promise<string | undefined> =>
  Promise.resolve(pid === 10 ? "pulumi" : pid === 11 ? "firefox" : undefined);
const locks = () => locksOf(backend, "vexlab", "dev", running);

describe("a lock in the state folder", () => {
  it("is alive while its Pulumi runs", async () => {
    await leave("a", 10);
    expect(await locks()).toMatchObject([{ pid: 10, username: "alice", dead: false }]);
  });

  it("is dead when its process is gone", async () => {
    await leave("a", 12);
    expect(await locks()).toMatchObject([{ pid: 12, dead: true }]);
  });

  it("is dead when its number is another program's by now", async () => {
    await leave("a", 11);
    expect(await locks()).toMatchObject([{ dead: true }]);
  });

  it("is never declared dead when it is another host's", async () => {
    await leave("a", 12, `${hostname()}-other`);
    expect(await locks()).toMatchObject([{ dead: false }]);
  });

  it("is dead when it was cut short", async () => {
    await writeFile(join(folder, "a.json"), '{"pid": 1');
    expect(await locks()).toMatchObject([{ dead: true }]);
  });

  it("is another stack's business there", async () => {
    await leave("a", 10);
    expect(await locksOf(backend, "vexlab", "test", running)).toEqual([]);
  });

  it("is removed alone", async () => {
    await leave("a", 12);
    await leave("b", 10);
    await removeLocks((await locks()).filter((lock) => lock.dead));
    expect(await readdir(folder)).toEqual(["b.json"]);
  });

  it("is recognised by the name of the real process", async () => {
    await leave("a", process.pid);
    // This process is no Pulumi.
    expect(await locksOf(backend, "vexlab", "dev")).toMatchObject([{ dead: true }]);
  });
});
