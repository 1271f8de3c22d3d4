/** The smallest ELF64 object with a `.modinfo` section, as elf(5) lays it out. */
export function moduleFile(modinfo: string, little = true): Buffer {
  const names = Buffer.from("\0.modinfo\0.shstrtab\0");
  const info = Buffer.from(modinfo);
  const [header, entry] = [64, 64];
  const infoAt = header;
  const namesAt = infoAt + info.length;
  const tableAt = namesAt + names.length;
  const file = Buffer.alloc(tableAt + 3 * entry);
  const u16 = (at: number, n: number) =>
    little ? file.writeUInt16LE(n, at) : file.writeUInt16BE(n, at);
  const u32 = (at: number, n: number) =>
    little ? file.writeUInt32LE(n, at) : file.writeUInt32BE(n, at);
  const u64 = (at: number, n: number) =>
    little ? file.writeBigUInt64LE(BigInt(n), at) : file.writeBigUInt64BE(BigInt(n), at);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, little ? 1 : 2, 1]);
  u64(0x28, tableAt);
  u16(0x3a, entry);
  u16(0x3c, 3);
  u16(0x3e, 2);
  info.copy(file, infoAt);
  names.copy(file, namesAt);
  const section = (index: number, name: number, offset: number, size: number): void => {
    const at = tableAt + index * entry;
    u32(at, name);
    u64(at + 0x18, offset);
    u64(at + 0x20, size);
  };
  section(1, 1, infoAt, info.length);
  section(2, 10, namesAt, names.length);
  return file;
}
