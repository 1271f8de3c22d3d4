/** ELF64 objects as elf(5) lays them out, with no more in them than what is read here. */

/** The smallest one with a `.modinfo` section. */
export function moduleFile(modinfo: string, little = true): Buffer {
  return elfFile({ ".modinfo": Buffer.from(modinfo) }, little);
}

/** One with these sections. */
export function elfFile(contents: Readonly<Record<string, Buffer>>, little = true): Buffer {
  const names = Buffer.from(["", ...Object.keys(contents), ".shstrtab", ""].join("\0"));
  const sections = [...Object.entries(contents), [".shstrtab", names] as const];
  const [header, entry] = [64, 64];
  const tableAt = header + sections.reduce((sum, [, { length }]) => sum + length, 0);
  // The first entry of the table is none.
  const file = Buffer.alloc(tableAt + (sections.length + 1) * entry);
  const { u16, u32, u64 } = writer(file, little);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, little ? 1 : 2, 1]);
  u64(0x28, tableAt);
  u16(0x3a, entry);
  u16(0x3c, sections.length + 1);
  u16(0x3e, sections.length);
  let offset = header;
  for (const [index, [name, content]] of sections.entries()) {
    const at = tableAt + (index + 1) * entry;
    content.copy(file, offset);
    u32(at, names.indexOf(`\0${name}\0`) + 1);
    u64(at + 0x18, offset);
    u64(at + 0x20, content.length);
    offset += content.length;
  }
  return file;
}

/** The sections of symbols; `section` is an index, the first one's is 1. */
export function symbolSections(
  symbols: readonly { readonly name: string; readonly section: number; readonly value: number }[],
  little = true,
): Record<string, Buffer> {
  const names = Buffer.from(["", ...symbols.map(({ name }) => name), ""].join("\0"));
  const table = Buffer.alloc((symbols.length + 1) * 24);
  const { u16, u32, u64 } = writer(table, little);
  for (const [index, { name, section, value }] of symbols.entries()) {
    const at = (index + 1) * 24;
    u32(at, names.indexOf(`\0${name}\0`) + 1);
    u16(at + 6, section);
    u64(at + 8, value);
  }
  return { ".symtab": table, ".strtab": names };
}

type Write = (at: number, value: number) => number;

function writer(file: Buffer, little: boolean): { u16: Write; u32: Write; u64: Write } {
  return {
    u16: (at, n) => (little ? file.writeUInt16LE(n, at) : file.writeUInt16BE(n, at)),
    u32: (at, n) => (little ? file.writeUInt32LE(n, at) : file.writeUInt32BE(n, at)),
    u64: (at, n) =>
      little ? file.writeBigUInt64LE(BigInt(n), at) : file.writeBigUInt64BE(BigInt(n), at),
  };
}
