import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { addVirtualAddresses } from "../../../../lab/hypervisor/virtualCore.ts";
import { kernelBase, qemuCore } from "./core.ts";

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-core-"));
  file = join(folder, "core");
});
afterEach(() => rm(folder, { recursive: true }));

/** What a debugger finds at an address. */
function at(core: Buffer, address: bigint): string | undefined {
  const from = Number(core.readBigUInt64LE(32));
  for (let index = 0; index < core.readUInt16LE(56); index++) {
    const header = core.subarray(from + index * 56);
    const offset = address - header.readBigUInt64LE(16);
    if (header.readUInt32LE(0) !== 1 || offset < 0n || offset >= header.readBigUInt64LE(32))
      continue;
    const place = Number(header.readBigUInt64LE(8) + offset);
    return core.toString("latin1", place, place + 4);
  }
  return undefined;
}

/** The notes, and the machine's memory by physical addresses. */
function contentOf(core: Buffer): { notes: Buffer; memory: Buffer } {
  const from = Number(core.readBigUInt64LE(32));
  const memory = Buffer.alloc(16 * 4096);
  let notes: Buffer = Buffer.alloc(0);
  for (let index = 0; index < core.readUInt16LE(56); index++) {
    const header = core.subarray(from + index * 56);
    const number = (at: number): number => Number(header.readBigUInt64LE(at));
    const content = core.subarray(number(8), number(8) + number(32));
    if (header.readUInt32LE(0) === 1) memory.set(content, number(24));
    else notes = content;
  }
  return { notes, memory };
}

test("a debugger finds what the kernel has at its addresses", async () => {
  await writeFile(file, qemuCore());
  // The first two pages lie side by side for the kernel, but not in the file.
  expect(await addVirtualAddresses(file)).toBe(4);
  const core = await readFile(file);
  expect(at(core, kernelBase)).toBe("code");
  expect(at(core, kernelBase + 0x1000n)).toBe("data");
  expect(at(core, kernelBase + 0x8000n)).toBe("code");
  expect(at(core, kernelBase + 0xb000n)).toBe("next");
  for (const nothing of [0x2000n, 0x9000n, 0xc000n])
    expect(at(core, kernelBase + nothing)).toBeUndefined();
});

test.each([0, 40])(
  "with %i pieces more, notes and memory are those that QEMU wrote",
  async (more) => {
    await writeFile(file, qemuCore(more));
    await addVirtualAddresses(file);
    const core = await readFile(file);
    // Where crash(8) looks for the program headers.
    expect(core.readBigUInt64LE(32)).toBe(64n);
    const [before, after] = [contentOf(qemuCore(more)), contentOf(core)];
    expect(after.notes.equals(before.notes)).toBe(true);
    expect(after.memory.equals(before.memory)).toBe(true);
    for (let index = 0; index < more; index++) {
      const page = kernelBase + BigInt(16 + index) * 0x1000n;
      expect([at(core, page), at(core, page + 0xffcn)]).toEqual(["head", "tail"]);
    }
  },
);

test.each([
  ["another file", Buffer.alloc(4096), "is no ELF file"],
  ["one that was cut", qemuCore().subarray(0, 600), "ends too early"],
  ["a machine without a kernel", emptied(), "has no page tables of a kernel"],
])("%s is refused", async (_, content, message) => {
  await writeFile(file, content);
  await expect(addVirtualAddresses(file)).rejects.toThrow(message);
});

function emptied(): Buffer {
  const core = qemuCore();
  return core.fill(0, core.length - 16 * 4096 - 100);
}
