import { readdir } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { readGuestFiles } from "../../../../lab/guest/guestFiles.ts";

const guest = (folder: string): string =>
  fileURLToPath(new URL(`../../../../guest/${folder}`, import.meta.url));

it("are all programs and libraries of guest/", async () => {
  const names = (await readGuestFiles()).map(({ path }) => basename(path));
  const there = [...(await readdir(guest("bin"))), ...(await readdir(guest("lib/vexlab_guest")))];
  expect(names).toEqual(expect.arrayContaining(there.filter((name) => name !== "__pycache__")));
});
