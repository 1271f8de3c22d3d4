import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
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

  it("is dead when its process was killed and nobody has collected it yet", async () => {
    const program = join(backend, "pulumi");
    await copyFile("/bin/sleep", program);
    // The shell becomes another program, which doesn't know that it has a child.
    const script = '"$1" 60 & echo $!; exec sleep 60';
    const parent = spawn("sh", ["-c", script, "sh", program], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    try {
      const [said] = (await once(parent.stdout, "data")) as [Buffer];
      const pid = Number(said.toString());
      const runs = async (number: number, name: string): Promise<void> =>
        expect(await readFile(`/proc/${number}/comm`, "utf8")).toBe(`${name}\n`);
      await vi.waitFor(() => runs(parent.pid ?? 0, "sleep"), { timeout: 5000 });
      await vi.waitFor(() => runs(pid, "pulumi"), { timeout: 5000 });
      process.kill(pid, "SIGKILL");
      const isZombie = async (): Promise<void> =>
        expect(await readFile(`/proc/${pid}/stat`, "utf8")).toContain("(pulumi) Z ");
      await vi.waitFor(isZombie, { timeout: 5000 });
      await leave("a", pid);
      expect(await locksOf(backend, "vexlab", "dev")).toMatchObject([{ pid, dead: true }]);
    } finally {
      parent.kill("SIGKILL");
    }
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
