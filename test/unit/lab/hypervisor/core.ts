/** A core file as QEMU writes it of a machine with two processors and a little memory. */
const page = 4096;
const memoryPages = 16;
/** Pages of page tables and of what they show. */
const [root, directories, middle, tables, code, data] = [1, 2, 3, 4, 5, 6] as const;
/** A processor that runs a program sees less of the kernel. */
const [userRoot, userDirectories, userMiddle, userTables] = [7, 8, 9, 10] as const;
/** The memory is in two places of the file. */
const gapBytes = 100;
const split = data * page;

export const coreHeaders = 3;

export const kernelBase = 0xffffffff80000000n;

/** @param more so many pieces more, each of which is the first page */
export function qemuCore(more = 0): Buffer {
  const memory = Buffer.alloc(memoryPages * page);
  const entry = (table: number, index: number, to: number, flags = 0x3): void => {
    memory.writeBigUInt64LE(BigInt(to * page) | BigInt(flags), table * page + index * 8);
  };
  // The last entry but one of each level leads to the last 2 GiB.
  entry(root, 511, directories);
  entry(directories, 510, middle);
  entry(middle, 0, tables);
  entry(tables, 0, code);
  entry(tables, 1, data);
  // Not beside it, and a device, and not present.
  entry(tables, 8, code);
  entry(tables, 9, 4096);
  memory.writeBigUInt64LE(0x7000n, tables * page + 12 * 8);
  entry(userRoot, 511, userDirectories);
  entry(userDirectories, 510, userMiddle);
  entry(userMiddle, 0, userTables);
  entry(userTables, 0, code);
  entry(userRoot, 0, directories);
  memory.write("code", code * page);
  memory.write("data", data * page);
  // Two pages that lie side by side everywhere.
  entry(tables, 10, 11);
  entry(tables, 11, 12);
  memory.write("next", 12 * page);
  for (let index = 0; index < more; index++) entry(tables, 16 + index, 0);
  memory.write("head", 0);
  memory.write("tail", page - 4);

  const notes = Buffer.concat([note("CORE", 1, Buffer.alloc(336)), state(userRoot), state(root)]);
  const header = Buffer.alloc(64);
  header.writeUInt32BE(0x7f454c46, 0);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(coreHeaders, 56);
  const notesAt = 64 + coreHeaders * 56;
  const memoryAt = notesAt + notes.length;
  return Buffer.concat([
    ...[header, program(4, notesAt, 0, notes.length), program(1, memoryAt, 0, split)],
    program(1, memoryAt + split + gapBytes, split, memory.length - split),
    ...[notes, memory.subarray(0, split), Buffer.alloc(gapBytes), memory.subarray(split)],
  ]);
}

function program(type: number, offset: number, physical: number, bytes: number): Buffer {
  const header = Buffer.alloc(56);
  header.writeUInt32LE(type, 0);
  [offset, 0, physical, bytes, bytes].forEach((value, index) =>
    header.writeBigUInt64LE(BigInt(value), 8 + index * 8),
  );
  return header;
}

function note(name: string, type: number, content: Buffer): Buffer {
  const header = Buffer.alloc(12);
  [name.length + 1, content.length, type].forEach((value, index) =>
    header.writeUInt32LE(value, index * 4),
  );
  const padded = Buffer.alloc((name.length + 4) & ~3);
  padded.write(name);
  return Buffer.concat([header, padded, content]);
}

/** QEMUCPUState of target/i386/arch_dump.c, with CR3. */
function state(table: number): Buffer {
  const content = Buffer.alloc(440);
  content.writeBigUInt64LE(BigInt(table * page) | 5n, 392 + 24);
  return note("QEMU", 0, content);
}
