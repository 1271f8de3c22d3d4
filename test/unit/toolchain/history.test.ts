import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { places } from "../../../lab/config/places.ts";
import { keptUpdates, pruneHistory } from "../../../toolchain/history.ts";

let state: string;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "vexlab-history-"));
});
afterEach(() => rm(state, { recursive: true }));

const stack = () => ({ where: { ...places(), state }, name: "ci" });
const folder = (kind: string): string => join(state, "pulumi/.pulumi", kind, "vexlab/ci");

test("the last updates are kept, of the history and of the backups", async () => {
  // Of different lengths: numbers, not texts, tell which is older.
  const times = Array.from({ length: keptUpdates + 5 }, (_, index) => 999_999_990 + index);
  for (const [kind, separator, ends] of [
    ["history", "-", ["checkpoint.json", "history.json", "history.json.attrs"]],
    ["backups", ".", ["json", "json.attrs"]],
  ] as const) {
    await mkdir(folder(kind), { recursive: true });
    for (const time of times)
      for (const end of ends)
        await writeFile(join(folder(kind), `ci${separator}${time}.${end}`), "");
    await writeFile(join(folder(kind), "somebody's notes"), "");
  }
  await pruneHistory(stack());
  const kept = times.slice(-keptUpdates);
  expect(await readdir(folder("history"))).toHaveLength(3 * keptUpdates + 1);
  expect((await readdir(folder("backups"))).sort()).toEqual(
    [
      ...kept.flatMap((time) => [`ci.${time}.json`, `ci.${time}.json.attrs`]),
      "somebody's notes",
    ].sort(),
  );
});

test("a stack without history has nothing to lose", async () => {
  await pruneHistory(stack());
  expect(await readdir(state)).toEqual([]);
});
