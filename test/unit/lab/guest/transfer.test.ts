import { EventEmitter } from "node:events";
import { mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client } from "ssh2";
import { beforeEach, describe, expect, test } from "vitest";
import { downloadFile } from "../../../../lab/guest/transfer.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "transfer-"));
});

type Done = (error?: Error) => void;

/** A guest that says that each of its files has so many bytes. */
class Guest extends EventEmitter {
  readonly asked: (number | undefined)[] = [];

  constructor(private readonly size: number) {
    super();
  }

  sftp(ready: (error: undefined, sftp: object) => void): void {
    ready(undefined, {
      stat: (_: string, done: (error: undefined, stats: { size: number }) => void) =>
        done(undefined, { size: this.size }),
      fastGet: (_: string, local: string, { fileSize }: { fileSize?: number }, done: Done) => {
        this.asked.push(fileSize);
        writeFile(local, "x".repeat(fileSize ?? 0)).then(() => done(), done);
      },
      end: () => undefined,
    });
  }
}

const download = (guest: Guest, most?: number): Promise<void> =>
  downloadFile(guest as unknown as Client, "/there", join(folder, "here"), {
    ...(most !== undefined && { most }),
  });

describe("a file from the guest", () => {
  test("is asked for by the size that the guest has told, which is within bounds", async () => {
    const guest = new Guest(1000);
    await download(guest, 1000);
    expect(guest.asked).toEqual([1000]);
    expect(await readFile(join(folder, "here"), "utf8")).toHaveLength(1000);
  });

  test("that is too large is not begun, and nothing is left", async () => {
    const guest = new Guest(1001);
    await expect(download(guest, 1000)).rejects.toThrow(/has 1001 bytes, no more than 1000/);
    await expect(download(new Guest(2 ** 40))).rejects.toThrow(/no more than 536870912 are taken/);
    expect(guest.asked).toEqual([]);
    expect(await readdir(folder)).toEqual([]);
  });

  test("that is said to be empty is empty: its size is not asked for again", async () => {
    const guest = new Guest(0);
    await download(guest);
    expect(guest.asked).toEqual([]);
    expect(await readFile(join(folder, "here"), "utf8")).toBe("");
  });
});
