import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  forgetLastVerdict,
  readLastVerdict,
  writeLastVerdict,
  type LastVerdict,
} from "../../../../lab/run/lastVerdict.ts";

let parent: string;
beforeEach(async () => void (parent = await mkdtemp(join(tmpdir(), "vexlab-verdict-"))));
afterEach(() => rm(parent, { recursive: true }));

const verdict: LastVerdict = {
  runId: "run-1",
  verdict: "hung",
  exitCode: 5,
  reason: "suite a hung",
  at: "2026-11-22T16:35:12.345Z",
};

describe("the last verdict of a stack", () => {
  it("is read back as it was written, also into a folder that is not there yet", async () => {
    const folder = join(parent, "stacks", "dev");
    expect(await readLastVerdict(folder)).toBeUndefined();
    await writeLastVerdict(folder, { ...verdict, verdict: "passed", exitCode: 0 });
    await writeLastVerdict(folder, verdict);
    expect(await readLastVerdict(folder)).toEqual(verdict);
    await forgetLastVerdict(folder);
    expect(await readLastVerdict(folder)).toBeUndefined();
  });

  it.each(["", "{}", '{"verdict":"fine"}', JSON.stringify({ ...verdict, exitCode: 9 })])(
    "is not guessed from %j",
    async (text) => {
      await writeFile(join(parent, "last-verdict.json"), text);
      await expect(readLastVerdict(parent)).rejects.toMatchObject({ exitCode: 3 });
    },
  );
});
