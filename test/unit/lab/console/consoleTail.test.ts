import { appendFile, mkdtemp, rename, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, describe, expect, test } from "vitest";
import { consoleMark, consoleSince } from "../../../../lab/console/consoleTail.ts";

let file = "";
beforeEach(async () => {
  file = join(await mkdtemp(join(tmpdir(), "console-")), "console.log");
  await writeFile(file, "of before\n");
});

/** The clock of file systems has steps of some milliseconds. */
const tick = (): Promise<void> => sleep(20);

/** What virtlogd does with a full file. */
async function fill(): Promise<void> {
  await tick();
  await rename(file, `${file}.0`);
  await writeFile(file, "");
}

describe("what a console has shown since a mark", () => {
  test("is what was added", async () => {
    const mark = await consoleMark(file);
    expect(await consoleSince(file, mark, 100)).toBe("");
    await appendFile(file, "new\n");
    expect(await consoleSince(file, mark, 100)).toBe("new\n");
    expect(await consoleSince(file, mark, 3)).toBe("ew\n");
  });

  test("goes on when the file was full, however long the new one is", async () => {
    const mark = await consoleMark(file);
    await appendFile(file, "last of it\n");
    await fill();
    await appendFile(file, "longer than what was before\n");
    const all = "last of it\nlonger than what was before\n";
    expect(await consoleSince(file, mark, 100)).toBe(all);
    expect(await consoleSince(file, mark, 30)).toBe(all.slice(-30));
    expect(await consoleSince(file, mark, 5)).toBe("fore\n");
  });

  test("goes on when the next was full, too", async () => {
    const mark = await consoleMark(file);
    await fill();
    await appendFile(file, "second\n");
    await fill();
    await appendFile(file, "third\n");
    expect(await consoleSince(file, mark, 100)).toBe("second\nthird\n");
  });

  test("holds nothing of a file that was full before", async () => {
    await fill();
    const mark = await consoleMark(file);
    await appendFile(file, "new\n");
    expect(await consoleSince(file, mark, 100)).toBe("new\n");
  });

  test("is all of a console that was begun anew", async () => {
    const mark = await consoleMark(file);
    await truncate(file, 0);
    await appendFile(file, "boot\n");
    expect(await consoleSince(file, mark, 100)).toBe("boot\n");
    await rm(file);
    await tick();
    expect(await consoleSince(file, mark, 100)).toBe("");
    await writeFile(file, "boot again, and more\n");
    expect(await consoleSince(file, mark, 100)).toBe("boot again, and more\n");
    expect(await consoleSince(file, await consoleMark(`${file}.none`), 100)).toContain("again");
  });
});
