import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { consoleWitness, parseDomainState } from "../../../../lab/run/consoleWitness.ts";

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-witness-"));
  file = join(folder, "console.log");
});
afterEach(() => rm(folder, { recursive: true }));

test("what the console showed before is not of this run", async () => {
  await writeFile(file, "an earlier run\n");
  const witness = await consoleWitness(file, "domain", "test:///default");
  expect(await witness.consoleSinceStart()).toBe("");
  const stop = new AbortController();
  let seen = "";
  const following = (async () => {
    for await (const text of witness.consoleText(stop.signal)) seen += text;
  })();
  await appendFile(file, "this run\n");
  await vi.waitFor(() => expect(seen).toBe("this run\n"));
  await writeFile(file, "new\n");
  await vi.waitFor(() => expect(seen).toBe("this run\nnew\n"));
  stop.abort();
  await following;
  expect(await witness.consoleSinceStart()).toBe("new\n");
});

test.each([
  ["running", "running"],
  ["crashed\n", "crashed"],
  ["shut off", "stopped"],
  ["paused", "unknown"],
])("libvirt's word %j for a domain's state is %s", (word, state) =>
  expect(parseDomainState(word)).toBe(state),
);
