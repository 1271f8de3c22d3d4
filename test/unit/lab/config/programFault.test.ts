import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { faultFileIn, readFault } from "../../../../lab/config/programFault.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vexlab-fault-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

it("a run removes what killed runs have left of their errors, and nothing of those that run", async () => {
  const fault = JSON.stringify({ exitCode: 2, message: "of a killed run" });
  // No process has the first number (proc(5), pid_max); the last one's is this process's by now.
  const names = ["99999999.json", `${process.ppid}.json`, "notes.txt", `${process.pid}.json`];
  for (const name of names) writeFileSync(join(folder, name), fault);
  const file = await faultFileIn(folder);
  expect(readFault(file)).toBeUndefined();
  expect(readdirSync(folder).sort()).toEqual(["notes.txt", `${process.ppid}.json`].sort());
});
