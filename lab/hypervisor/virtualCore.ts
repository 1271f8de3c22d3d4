/**
 * Adds the kernel's addresses to a core file that QEMU has written by physical ones. QEMU could do it, too
 * (paging), but takes minutes. There is a program header for each piece of memory that the page tables of
 * the processor show in the kernel's half. crash(8) looks for all headers and notes before the first piece
 * of memory, so they are put there, and what lay there goes to the end of the file.
 *
 * Sources: elf(5); QEMU's target/i386/arch_dump.c (its note with the control registers); Intel SDM 3A,
 * "4-Level Paging and 5-Level Paging"; Linux' Documentation/arch/x86/x86_64/mm.rst.
 */
import { open, type FileHandle } from "node:fs/promises";

/** A piece of memory: where it is for the kernel, for the machine and in the file. */
interface Piece {
  readonly virtual: bigint;
  readonly physical: bigint;
  readonly offset: bigint;
  bytes: bigint;
}

const [loadType, noteType] = [1, 4];
const [fileHeaderBytes, headerBytes] = [64, 56];
const entriesOfTable = 512;
const pageBytes = 4096;
const addressMask = 0x000f_ffff_ffff_f000n;
const pageBits = 12n;
const indexBits = 9n;
/** e_phnum has 16 bits, and its last value another meaning. */
const mostHeaders = 65_000;
/** Stacks for a fault's return, each page of which is there a thousand times. */
const espfix = 510;

/**
 * Adds them in place.
 * @returns how many pieces were added
 * @throws RangeError when the file is no core of QEMU's
 */
export async function addVirtualAddresses(file: string): Promise<number> {
  const handle = await open(file, "r+");
  try {
    const header = await read(handle, 0n, fileHeaderBytes);
    if (header.readUInt32BE(0) !== 0x7f454c46) throw new RangeError(`${file} is no ELF file`);
    const count = header.readUInt16LE(56);
    const table = await read(handle, header.readBigUInt64LE(32), count * headerBytes);
    const headers = range(count).map((index) =>
      table.subarray(index * headerBytes, (index + 1) * headerBytes),
    );
    const loads = headers.filter((each) => each.readUInt32LE(0) === loadType);
    const ram = loads.map(pieceOf);
    const noted = headers.find((each) => each.readUInt32LE(0) === noteType);
    if (noted === undefined) throw new RangeError(`${file} has no notes`);
    const { offset, bytes } = pieceOf(noted);
    const notes = await read(handle, offset, Number(bytes));
    const processors = controlRegisters(notes);
    const pieces = await kernelPieces(handle, ram, processors);
    if (pieces.length === 0) throw new RangeError(`${file} has no page tables of a kernel`);
    const added = pieces.slice(0, mostHeaders / 2 - count);
    await putInFront(handle, header, noted, notes, [...loads, ...added.map(programHeader)]);
    return added.length;
  } finally {
    await handle.close();
  }
}

const range = (count: number): number[] => [...Array(count).keys()];

async function read(handle: FileHandle, offset: bigint, bytes: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, Number(offset));
  if (bytesRead < bytes) throw new RangeError("the core file ends too early");
  return buffer;
}

/** A part of the machine's memory, and where it is in the file. */
const pieceOf = (header: Buffer): Piece => ({
  virtual: 0n,
  physical: header.readBigUInt64LE(24),
  offset: header.readBigUInt64LE(8),
  bytes: header.readBigUInt64LE(32),
});

/** Writes the file's front anew; memory that lies there is moved. */
async function putInFront(
  handle: FileHandle,
  header: Buffer,
  noted: Buffer,
  notes: Buffer,
  loads: readonly Buffer[],
): Promise<void> {
  // Each of them may become two; a page stays whole.
  const least = fileHeaderBytes + (1 + 2 * loads.length) * headerBytes + notes.length;
  const memoryAt = Math.min(...loads.map((load) => Number(pieceOf(load).offset)));
  const room = memoryAt + Math.ceil(Math.max(0, least - memoryAt) / pageBytes) * pageBytes;
  const moved = await read(handle, BigInt(fileHeaderBytes), room - fileHeaderBytes);
  const end = (await handle.stat()).size;
  await handle.write(moved, 0, moved.length, end);
  const parts = loads.map((load) => divided(load, BigInt(room), BigInt(end - fileHeaderBytes)));
  const table = [...parts.flatMap(({ stays }) => stays), ...parts.flatMap(({ goes }) => goes)];
  const notesAt = fileHeaderBytes + (1 + table.length) * headerBytes;
  noted.writeBigUInt64LE(BigInt(notesAt), 8);
  header.writeBigUInt64LE(BigInt(fileHeaderBytes), 32);
  header.writeUInt16LE(1 + table.length, 56);
  // QEMU's section, which only said how many program headers there are: e_shoff, e_shnum, e_shstrndx.
  header.fill(0, 40, 48).fill(0, 60);
  const front = Buffer.concat([header, noted, ...table, notes]);
  await handle.write(front, 0, front.length, 0);
}

/** The headers of what a header is of, when all before an offset of the file is moved. */
function divided(header: Buffer, until: bigint, by: bigint): { stays: Buffer[]; goes: Buffer[] } {
  const { offset, bytes } = pieceOf(header);
  if (offset >= until) return { stays: [header], goes: [] };
  const within = until - offset;
  if (bytes <= within) return { stays: [], goes: [part(header, 0n, bytes, by)] };
  return {
    stays: [part(header, within, bytes - within, 0n)],
    goes: [part(header, 0n, within, by)],
  };
}

function part(header: Buffer, from: bigint, bytes: bigint, movedBy: bigint): Buffer {
  const copy = Buffer.from(header);
  copy.writeBigUInt64LE(header.readBigUInt64LE(8) + from + movedBy, 8);
  for (const address of [16, 24])
    copy.writeBigUInt64LE(header.readBigUInt64LE(address) + from, address);
  for (const size of [32, 40]) copy.writeBigUInt64LE(bytes, size);
  return copy;
}

interface Paging {
  readonly root: bigint;
  readonly levels: 4 | 5;
}

/** CR3 and CR4 of each processor. */
function controlRegisters(notes: Buffer): Paging[] {
  const found: Paging[] = [];
  const padded = (bytes: number): number => (bytes + 3) & ~3;
  for (let at = 0; at + 12 <= notes.length;) {
    const [nameBytes, bytes] = [notes.readUInt32LE(at), notes.readUInt32LE(at + 4)];
    const name = notes.toString("latin1", at + 12, at + 12 + 4);
    const content = notes.subarray(at + 12 + padded(nameBytes));
    // Version and size, 18 registers, 10 segments of 24 bytes, then CR0 to CR4.
    const registers = 8 + 18 * 8 + 10 * 24;
    if (name === "QEMU" && bytes >= registers + 40 && content.length >= registers + 40)
      found.push({
        root: content.readBigUInt64LE(registers + 24) & addressMask,
        levels: (content.readBigUInt64LE(registers + 32) & 0x1000n) === 0n ? 4 : 5,
      });
    at += 12 + padded(nameBytes) + padded(bytes);
  }
  return found;
}

/** What the kernel sees, by the tables of the processor that see most: another may run a program. */
async function kernelPieces(
  handle: FileHandle,
  ram: readonly Piece[],
  processors: readonly Paging[],
): Promise<Piece[]> {
  let most: Piece[] = [];
  for (const root of new Set(processors.map((each) => each.root))) {
    const paging = processors.find((each) => each.root === root) as Paging;
    const pieces: Piece[] = [];
    await walk(handle, ram, paging.root, paging.levels, 0n, pieces, paging.levels);
    if (total(pieces) > total(most)) most = pieces;
  }
  return most;
}

const total = (pieces: readonly Piece[]): bigint =>
  pieces.reduce((sum, { bytes }) => sum + bytes, 0n);

async function walk(
  handle: FileHandle,
  ram: readonly Piece[],
  table: bigint,
  level: number,
  base: bigint,
  pieces: Piece[],
  levels: number,
): Promise<void> {
  const [there] = partsOf(ram, { virtual: 0n, physical: table, bytes: BigInt(pageBytes) });
  if (there === undefined) return;
  const entries = await read(handle, there.offset, pageBytes);
  const shift = pageBits + indexBits * BigInt(level - 1);
  const isRoot = level === levels;
  for (let index = isRoot ? entriesOfTable / 2 : 0; index < entriesOfTable; index++) {
    const entry = entries.readBigUInt64LE(index * 8);
    if ((entry & 1n) === 0n || (level === 4 && levels === 4 && index === espfix)) continue;
    const virtual = base | (BigInt(index) << shift) | (isRoot ? signOf(levels) : 0n);
    if (level === 1 || (level <= 3 && (entry & 0x80n) !== 0n)) {
      const bytes = 1n << shift;
      const physical = entry & addressMask & ~(bytes - 1n);
      for (const part of partsOf(ram, { virtual, physical, bytes })) append(pieces, part);
    } else await walk(handle, ram, entry & addressMask, level - 1, virtual, pieces, levels);
  }
}

/** The bits above those that are translated. */
const signOf = (levels: number): bigint => {
  const bits = pageBits + indexBits * BigInt(levels);
  return ((1n << (64n - bits)) - 1n) << bits;
};

/** What of a page is memory, and not a device's, with its place in the file. */
function partsOf(
  ram: readonly Piece[],
  { virtual, physical, bytes }: Omit<Piece, "offset">,
): Piece[] {
  return ram.flatMap((each) => {
    const from = physical > each.physical ? physical : each.physical;
    const [end, endOfRam] = [physical + bytes, each.physical + each.bytes];
    const to = end < endOfRam ? end : endOfRam;
    const part = { virtual: virtual + (from - physical), physical: from, bytes: to - from };
    return to <= from ? [] : [{ ...part, offset: each.offset + (from - each.physical) }];
  });
}

function append(pieces: Piece[], next: Piece): void {
  const last = pieces.at(-1);
  const follows =
    last !== undefined &&
    last.virtual + last.bytes === next.virtual &&
    last.offset + last.bytes === next.offset &&
    last.physical + last.bytes === next.physical;
  if (follows) last.bytes += next.bytes;
  else pieces.push(next);
}

function programHeader({ virtual, physical, offset, bytes }: Piece): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32LE(loadType, 0);
  // Readable, writable, executable.
  header.writeUInt32LE(7, 4);
  [offset, virtual, physical, bytes, bytes, 0n].forEach((value, index) =>
    header.writeBigUInt64LE(value, 8 + index * 8),
  );
  return header;
}
