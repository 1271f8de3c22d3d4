import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { holderOf, takeLock, tryLock } from "../../../toolchain/lock.ts";

let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-lock-"));
  file = join(folder, "deep", "a.lock");
});

afterEach(async () => rm(folder, { recursive: true }));

it("is had by one at a time, and names the holder", async () => {
  const first = await tryLock(file);
  expect(first).toBeDefined();
  expect(await tryLock(file)).toBeUndefined();
  expect(await holderOf(file)).toBe(process.pid);
  await first?.release();
  const second = await tryLock(file);
  expect(second).toBeDefined();
  await second?.release();
});

it("is waited for", async () => {
  const first = await tryLock(file);
  const order: string[] = [];
  const waited = takeLock(file, 10, (holder) => order.push(`waits for ${holder ?? "?"}`)).then(
    (lock) => {
      order.push("has it");
      return lock;
    },
  );
  await new Promise((resolve) => setTimeout(resolve, 300));
  order.push("released");
  await first?.release();
  await (await waited).release();
  expect(order).toEqual([`waits for ${process.pid}`, "released", "has it"]);
});

it("is waited for no longer than the deadline", async () => {
  const first = await tryLock(file);
  await expect(takeLock(file, 1, () => undefined)).rejects.toThrow(
    new RegExp(`still locked after 1 s by process ${process.pid}`),
  );
  await first?.release();
});

it("is free again when its holder is killed", async () => {
  const module = new URL("../../../toolchain/lock.ts", import.meta.url).href;
  const program = `const { tryLock } = await import(${JSON.stringify(module)});
    await tryLock(${JSON.stringify(file)});
    console.log("locked");
    setInterval(() => {}, 1000);`;
  const holder = spawn(
    process.execPath,
    ["--import", "tsx", "--input-type=module", "--eval", program],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  await once(holder.stdout, "data");
  expect(await tryLock(file)).toBeUndefined();
  holder.kill("SIGKILL");
  const lock = await takeLock(file, 5, () => undefined);
  await lock.release();
});
