/**
 * Just enough of ELF to read a kernel module's `.modinfo`: zero-separated `name=value` strings that
 * the kernel checks when it loads the module (include/linux/moduleparam.h, elf(5)).
 */
import { readFile } from "node:fs/promises";

/** The content of a 64-bit ELF file's section; undefined when it isn't ELF64 or has no such section. */
export function elfSection(file: Buffer, name: string): Buffer | undefined {
  // e_ident: magic, EI_CLASS 2 = 64 bits, EI_DATA 1 = little endian. Field offsets from elf(5).
  if (file.length < 64 || file.toString("latin1", 0, 4) !== "\x7fELF" || file[4] !== 2) return;
  const little = file[5] === 1;
  const u16 = (at: number): number => (little ? file.readUInt16LE(at) : file.readUInt16BE(at));
  const u32 = (at: number): number => (little ? file.readUInt32LE(at) : file.readUInt32BE(at));
  const u64 = (at: number): number =>
    Number(little ? file.readBigUInt64LE(at) : file.readBigUInt64BE(at));
  try {
    const [headers, size, count, names] = [u64(0x28), u16(0x3a), u16(0x3c), u16(0x3e)];
    const header = (index: number): number => headers + index * size;
    const content = (index: number): Buffer => {
      const [offset, length] = [u64(header(index) + 0x18), u64(header(index) + 0x20)];
      return file.subarray(offset, offset + length);
    };
    const strings = content(names);
    for (let index = 0; index < count; index++) {
      const start = u32(header(index));
      const end = strings.indexOf(0, start);
      if (strings.toString("latin1", start, end) === name) return content(index);
    }
  } catch (error) {
    // A cut or damaged file: the tables point outside of it.
    if (!(error instanceof RangeError)) throw error;
  }
  return;
}

/** A module's `.modinfo` as name → values; undefined when the file is no kernel module. */
export function parseModinfo(file: Buffer): Map<string, string[]> | undefined {
  const section = elfSection(file, ".modinfo");
  if (section === undefined) return undefined;
  const info = new Map<string, string[]>();
  for (const entry of section.toString("utf8").split("\0")) {
    const [name, ...value] = entry.split("=");
    if (name) info.set(name, [...(info.get(name) ?? []), value.join("=")]);
  }
  return info;
}

/** The kernel release that a module was built for, the first word of its vermagic. */
export async function moduleKernelRelease(file: string): Promise<string | undefined> {
  return parseModinfo(await readFile(file))
    ?.get("vermagic")?.[0]
    ?.split(" ")[0];
}
