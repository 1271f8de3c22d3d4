import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { LockBusy, takeLock, type LockHolder } from "../../../../lab/image/lock.ts";

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-lock-"));
  file = join(folder, "recipe.lock");
});
afterEach(() => rm(folder, { recursive: true }));

const module = fileURLToPath(new URL("../../../../lab/image/lock.ts", import.meta.url));

/** Another process that takes the lock, says so and holds it. */
async function otherHolder(): Promise<ReturnType<typeof spawn>> {
  const program = join(folder, "holder.mts");
  await writeFile(
    program,
    `import { takeLock } from ${JSON.stringify(module)};
     await takeLock(process.argv[2]!, { deadlineSeconds: 1 });
     console.log("held");
     setInterval(() => undefined, 1000);`,
  );
  const child = spawn(process.execPath, ["--import", "tsx", program, file], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  return child;
}

it("is taken again after it was released", async () => {
  await (await takeLock(file, { deadlineSeconds: 1 })).release();
  await (await takeLock(file, { deadlineSeconds: 1 })).release();
});

it("waits for another process, says for whom, and gets its turn when that is killed", async () => {
  const other = await otherHolder();
  const waitedFor: (LockHolder | undefined)[] = [];
  let taken = false;
  const waiting = takeLock(file, {
    deadlineSeconds: 8,
    onWait: (holder) => waitedFor.push(holder),
  }).then((lock) => {
    taken = true;
    return lock;
  });
  await expect.poll(() => waitedFor.length, { timeout: 5000 }).toBe(1);
  expect(waitedFor[0]?.pid).toBe(other.pid);
  expect(taken).toBe(false);
  other.kill("SIGKILL");
  await (await waiting).release();
});

it("gives up at the deadline, naming the holder", async () => {
  const first = await takeLock(file, { deadlineSeconds: 1 });
  const second = takeLock(file, { deadlineSeconds: 1 });
  await expect(second).rejects.toThrow(LockBusy);
  await expect(second).rejects.toThrow(new RegExp(`process ${process.pid}`));
  await first.release();
});

it("stops waiting when cancelled", async () => {
  const first = await takeLock(file, { deadlineSeconds: 1 });
  const cancelling = new AbortController();
  const second = takeLock(file, {
    deadlineSeconds: 60,
    signal: cancelling.signal,
    onWait: () => setTimeout(() => cancelling.abort(), 50),
  });
  await expect(second).rejects.toMatchObject({ exitCode: 130 });
  await first.release();
});
