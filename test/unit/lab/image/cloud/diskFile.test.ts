import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inspectDisk, readHead } from "../../../../../lab/image/cloud/diskFile.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-disk-"));
  await writeFile(join(folder, "secret"), "a file of the host's".repeat(100));
});
afterAll(() => rm(folder, { recursive: true }));

async function qcow2(name: string, ...options: string[]): Promise<string> {
  const file = join(folder, name);
  await execa("qemu-img", ["create", "-q", "-f", "qcow2", ...options, file, "64M"]);
  return file;
}
const problem = (file: string): Promise<string> =>
  inspectDisk(file, "the image").then(
    () => "",
    (error: unknown) => (error as Error).message,
  );

describe("a qcow2 file", () => {
  it.each([[[]], [["-o", "compat=0.10"]], [["-o", "compression_type=zstd,extended_l2=on"]]])(
    "made with %j is one",
    async (options) => {
      const file = await qcow2("plain.qcow2", ...options);
      const disk = { format: "qcow2", virtualBytes: 64 * 2 ** 20 };
      expect(await inspectDisk(file, "it")).toEqual(disk);
    },
  );

  it("that lies over a file of the host's is refused", async () => {
    const over = ["-b", join(folder, "secret"), "-F", "raw"];
    expect(await problem(await qcow2("over.qcow2", ...over))).toMatch(/backing file/);
  });

  it("whose content is in a file of the host's is refused", async () => {
    const data = ["-o", `data_file=${join(folder, "data")},data_file_raw=on`];
    expect(await problem(await qcow2("data.qcow2", ...data))).toMatch(/content is in another file/);
  });

  it("that is encrypted is refused", async () => {
    const file = await qcow2("crypt.qcow2");
    // crypt_method 2, LUKS (QEMU's docs/interop/qcow2.txt). qemu-img measures the processor for one, and
    // gives up when others use it.
    const disk = await open(file, "r+");
    await disk.write(Buffer.from([0, 0, 0, 2]), 0, 4, 32);
    await disk.close();
    expect(await problem(file)).toMatch(/encrypted/);
  });
});

describe("another file", () => {
  it("is a raw disk when it has a boot sector", () => {
    const sector = Buffer.alloc(1024);
    sector.writeUInt16BE(0x55aa, 510);
    expect(readHead(sector, 10 * 512)).toEqual({ format: "raw", virtualBytes: 5120 });
    expect(readHead(sector, 5000)).toMatch(/whole number of sectors/);
  });

  it.each([
    ["<!DOCTYPE html><html>", /web page/],
    ["\u001f\u008b", /packed \(gzip\)/],
    ["\u00fd7zXZ\u0000", /packed \(xz\)/],
    ["", /neither qcow2 nor/],
  ])("is none: %j", (start, what) => {
    expect(readHead(Buffer.from(start, "latin1"), 1e6)).toMatch(what);
  });

  it("is read without failing, whatever it holds", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1024 }), fc.boolean(), (bytes, isQcow2) => {
        const head = Buffer.from(bytes);
        if (isQcow2 && head.length >= 4) head.writeUInt32BE(0x514649fb, 0);
        readHead(head, head.length);
      }),
    );
  });
});
