import { appendFile, mkdtemp, rename, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { followConsole } from "../../../../lab/console/follow.ts";

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-console-"));
  file = join(folder, "console.log");
});
afterEach(() => rm(folder, { recursive: true }));

/** Follows while the steps run, one every quarter of a second. */
async function follow(...steps: (() => Promise<unknown>)[]): Promise<string> {
  const stop = new AbortController();
  let seen = "";
  const following = (async () => {
    for await (const event of followConsole(file, stop.signal)) {
      seen += event.kind === "text" ? event.text : "<truncated>";
    }
  })();
  for (const step of steps) {
    await step();
    await sleep(250);
  }
  stop.abort();
  await following;
  return seen;
}

test("from the first byte of a file that appears later", async () => {
  const seen = await follow(
    () => Promise.resolve(),
    () => writeFile(file, "one\n"),
    () => appendFile(file, "two\n"),
  );
  expect(seen).toBe("one\ntwo\n");
});

test("a file that is there is read from its beginning, and to its end after the signal", async () => {
  await writeFile(file, "x".repeat(200_000));
  expect((await follow()).length).toBe(200_000);
});

test("a truncated file is read anew", async () => {
  await writeFile(file, "first boot\n");
  const seen = await follow(
    () => Promise.resolve(),
    () => truncate(file, 0),
    () => appendFile(file, "second\n"),
  );
  expect(seen).toBe("first boot\n<truncated>second\n");
});

test("a replaced file is read anew", async () => {
  await writeFile(file, "first\n");
  await writeFile(join(folder, "new"), "a second, longer one\n");
  const seen = await follow(
    () => Promise.resolve(),
    () => rename(join(folder, "new"), file),
  );
  expect(seen).toBe("first\n<truncated>a second, longer one\n");
});

test("what a full file got last is read before the one in its place", async () => {
  await writeFile(file, "first\n");
  const seen = await follow(
    () => Promise.resolve(),
    async () => {
      await appendFile(file, "last of it\n");
      await rename(file, `${file}.0`);
      await writeFile(file, "next\n");
    },
  );
  expect(seen).toBe("first\nlast of it\n<truncated>next\n");
});

test("a character that is written in two parts arrives whole", async () => {
  const bytes = Buffer.from("é\n");
  const seen = await follow(
    () => writeFile(file, bytes.subarray(0, 1)),
    () => appendFile(file, bytes.subarray(1)),
  );
  expect(seen).toBe("é\n");
});

test("bytes that are no text do no harm", async () => {
  await writeFile(file, Buffer.from([0xff, 0xfe, 0x41, 0x0a]));
  expect(await follow()).toBe("\ufffd\ufffdA\n");
});

test("from another byte, unless the file is shorter by then", async () => {
  await writeFile(file, "old new\n");
  const stop = new AbortController();
  let seen = "";
  const following = (async () => {
    for await (const event of followConsole(file, stop.signal, 4))
      seen += event.kind === "text" ? event.text : "<truncated>";
  })();
  await sleep(50);
  await writeFile(file, "x\n");
  await sleep(250);
  stop.abort();
  await following;
  expect(seen).toBe("new\n<truncated>x\n");
});
