import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { LabError } from "../../../../lab/config/errors.ts";
import { writeWhole } from "../../../../lab/report/wholeFile.ts";

it("a file that can't be written is named, with the space that is left, and is not there", async () => {
  const folder = await mkdtemp(join(tmpdir(), "vexlab-whole-"));
  await writeFile(join(folder, "in-the-way"), "");
  const file = join(folder, "in-the-way", "result.json");
  const writing = writeWhole(file, "{}");
  await expect(writing).rejects.toThrow(LabError);
  await expect(writing).rejects.toMatchObject({
    exitCode: 3,
    message: expect.stringMatching(
      /result\.json can't be written: ENOTDIR: .*; \d+ bytes are left there$/,
    ) as string,
  });
  expect(await readdir(folder)).toEqual(["in-the-way"]);
  await rm(folder, { recursive: true });
});
