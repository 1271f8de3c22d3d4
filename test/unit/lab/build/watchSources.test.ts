import { mkdirSync, writeFileSync } from "node:fs";
import { chmod, mkdir, rename, rm, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { hashSources } from "../../../../lab/build/sources.ts";
import { watchSources, type SourceChange } from "../../../../lab/build/watchSources.ts";
import { readManifest } from "../../../../lab/config/manifest.ts";
import { makeTree, manifestText } from "./tree.ts";

const briefMs = 60;
const patienceMs = 400;

let source = "";
let stop = new AbortController();
let seen: SourceChange[] = [];
let debounceMs = briefMs;
let watching: Promise<void> = Promise.resolve();

beforeEach(async () => {
  source = await makeTree({ "kernel/hello.c": "int x;", "rust/Cargo.toml": "", "rust/lib.rs": "" });
  stop = new AbortController();
  seen = [];
  debounceMs = briefMs;
});
afterEach(async () => {
  stop.abort();
  await watching;
  await rm(source, { recursive: true, force: true });
});

async function put(path: string, content: string): Promise<void> {
  await mkdir(dirname(join(source, path)), { recursive: true });
  await writeFile(join(source, path), content);
}
const hash = async (): Promise<string> => hashSources(source, await readManifest(source));

/** Starts watching; afterwards whatever changes is noticed. */
async function start(): Promise<void> {
  // One that is out of date makes the first look a change, which says that the watch has begun.
  const changes = watchSources(source, { debounceMs, patienceMs, since: "", signal: stop.signal });
  expect(await changes.next()).toEqual({ done: false, value: { sourceHash: await hash() } });
  watching = (async () => {
    for await (const change of changes) seen.push(change);
  })();
}
/** Waits until as many changes were seen, and a moment longer for more. */
async function changes(count: number): Promise<readonly SourceChange[]> {
  await expect
    .poll(() => seen.length, { timeout: 8000, interval: 10 })
    .toBeGreaterThanOrEqual(count);
  await setTimeout(3 * debounceMs);
  return seen;
}

it("an edit is a change, and so is the next one", async () => {
  await start();
  await put("kernel/hello.c", "int y;");
  expect(await changes(1)).toEqual([{ sourceHash: await hash() }]);
  await put("kernel/hello.c", "int z;");
  expect((await changes(2))[1]).toEqual({ sourceHash: await hash() });
});

it("a file that becomes a program is a change, whenever it was read last", async () => {
  await utimes(join(source, "kernel/hello.c"), 4e9, 1);
  await start();
  await chmod(join(source, "kernel/hello.c"), 0o755);
  expect(await changes(1)).toEqual([{ sourceHash: await hash() }]);
});

it("a touch, build outputs, leftovers and what is excluded are none", async () => {
  await start();
  await utimes(join(source, "kernel/hello.c"), 1, 1);
  await put("kernel/hello.o", "object");
  await put("kernel/hello.ko", "module");
  await put("kernel/.hello.c.swp", "");
  await put("rust/target/release/x", "program");
  await put("drafts/notes", "");
  await put(".git/index", "");
  await put("kernel/hello.c", "int x;");
  expect(await changes(0)).toEqual([]);
  // And the watch still works.
  await put("kernel/hello.c", "int y;");
  expect(await changes(1)).toEqual([{ sourceHash: await hash() }]);
});

it("hundreds of files at once are one change", async () => {
  // This very process writes them and is told of each: on a busy host with pauses.
  debounceMs = 400;
  await start();
  // Synchronously: a busy host would make pauses between them.
  for (let n = 0; n < 300; n++) {
    const file = join(source, `kernel/part${n % 7}/file${n}.c`);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `int x${n};`);
  }
  expect(await changes(1)).toEqual([{ sourceHash: await hash() }]);
});

it("files that are saved by renaming are seen, again and again", async () => {
  await start();
  for (const [index, text] of ["1", "2", "3"].entries()) {
    await put("kernel/hello.c~new", text);
    await rename(join(source, "kernel/hello.c"), join(source, "kernel/hello.c~"));
    await rename(join(source, "kernel/hello.c~new"), join(source, "kernel/hello.c"));
    expect((await changes(index + 1)).at(-1)).toEqual({ sourceHash: await hash() });
  }
  expect(seen).toHaveLength(3);
});

it("folders that come, go, come back and are renamed are watched", async () => {
  await start();
  const steps = [
    () => put("new/deep/er/a.c", "1"),
    () => put("new/deep/er/a.c", "2"),
    () => rm(join(source, "new"), { recursive: true }),
    () => put("new/deep/er/a.c", "3"),
    () => put("new/deep/er/a.c", "4"),
    () => rename(join(source, "new/deep"), join(source, "new/other")),
    () => put("new/other/er/a.c", "5"),
    async () => {
      await rm(join(source, "new"), { recursive: true });
      await put("new/other/er/a.c", "6");
    },
    () => put("new/other/er/a.c", "7"),
  ];
  for (const [index, step] of steps.entries()) {
    await step();
    expect((await changes(index + 1)).at(-1)).toEqual({ sourceHash: await hash() });
  }
  expect(seen).toHaveLength(steps.length);
});

it("the manifest's new rules count at once", async () => {
  await put("drafts/notes", "excluded");
  await start();
  await put("vexlab.yaml", manifestText.replace("drafts/, ", ""));
  expect(await changes(1)).toEqual([{ sourceHash: await hash() }]);
  await put("drafts/notes", "now a source");
  expect((await changes(2))[1]).toEqual({ sourceHash: await hash() });
  await put("vexlab.yaml", manifestText);
  await changes(3);
  await put("drafts/notes", "no longer");
  expect(await changes(3)).toHaveLength(3);
});

it("a folder called target is watched when it is no longer cargo's", async () => {
  await put("rust/target/a.c", "");
  await start();
  await rm(join(source, "rust/Cargo.toml"));
  await changes(1);
  await put("rust/target/a.c", "a source");
  expect((await changes(2))[1]).toEqual({ sourceHash: await hash() });
});

it("a wrong manifest is told once, and so is that it is right again", async () => {
  await start();
  await put("vexlab.yaml", "name: [");
  expect(await changes(1)).toMatchObject([{ mistake: { where: join(source, "vexlab.yaml") } }]);
  await put("kernel/hello.c", "int y;");
  expect(await changes(1)).toHaveLength(1);
  await put("vexlab.yaml", manifestText);
  expect((await changes(2))[1]).toEqual({ sourceHash: await hash() });
});

it("a folder that is away for a moment is no change when it comes back the same", async () => {
  await start();
  await rename(source, `${source}-away`);
  await setTimeout(patienceMs / 2);
  await rename(`${source}-away`, source);
  expect(await changes(0)).toEqual([]);
  await put("kernel/hello.c", "int y;");
  expect(await changes(1)).toEqual([{ sourceHash: await hash() }]);
});

it("a folder that another takes the place of is watched, also after a while", async () => {
  await start();
  await rm(source, { recursive: true });
  expect(await changes(1)).toMatchObject([{ mistake: { where: source } }]);
  const other = await makeTree({ "kernel/hello.c": "another" });
  await rename(other, source);
  expect((await changes(2))[1]).toEqual({ sourceHash: await hash() });
  await put("kernel/hello.c", "int y;");
  expect((await changes(3))[2]).toEqual({ sourceHash: await hash() });
});

it("changes while nobody asks become one, and one that is taken back is none", async () => {
  // Long enough for two writes on a busy host.
  const options = { debounceMs: 500, signal: stop.signal };
  const iterator = watchSources(source, { ...options, since: await hash() });
  const first = iterator.next();
  await put("kernel/hello.c", "1");
  expect((await first).value).toEqual({ sourceHash: await hash() });
  const before = await hash();
  for (const text of ["2", "3", "4"]) await put("kernel/hello.c", text);
  expect((await iterator.next()).value).toEqual({ sourceHash: await hash() });
  await put("kernel/hello.c", "1");
  expect((await iterator.next()).value).toEqual({ sourceHash: before });
  const next = iterator.next();
  await put("kernel/hello.c", "5");
  await put("kernel/hello.c", "1");
  await setTimeout(800);
  stop.abort();
  expect(await next).toEqual({ done: true, value: undefined });
});

it("what changed before the watch began is a change for a caller who says what it knows", async () => {
  const since = await hash();
  await put("kernel/hello.c", "int y;");
  const iterator = watchSources(source, { debounceMs, since });
  expect((await iterator.next()).value).toEqual({ sourceHash: await hash() });
  await iterator.return();
});

it("the end of the loop ends the watch", async () => {
  for await (const change of watchSources(source, { debounceMs, since: "" })) {
    expect(change).toEqual({ sourceHash: await hash() });
    break;
  }
  const aborted = watchSources(source, { signal: AbortSignal.abort() });
  expect(await aborted.next()).toEqual({ done: true, value: undefined });
});
