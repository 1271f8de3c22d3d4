/**
 * Just enough of ELF to read a kernel module: its `.modinfo`, zero-separated `name=value` strings that
 * the kernel checks when it loads the module (include/linux/moduleparam.h), and its symbols (elf(5)).
 */
import { readFile } from "node:fs/promises";

interface ElfFile {
  readonly sections: readonly { readonly name: string; readonly content: Buffer }[];
  u16(bytes: Buffer, at: number): number;
  u32(bytes: Buffer, at: number): number;
  u64(bytes: Buffer, at: number): number;
}

/** A 64-bit ELF file; undefined when it is none, or is damaged. */
function readElf(file: Buffer): ElfFile | undefined {
  // e_ident: magic, EI_CLASS 2 = 64 bits, EI_DATA 1 = little endian. Field offsets from elf(5).
  if (file.length < 64 || file.toString("latin1", 0, 4) !== "\x7fELF" || file[4] !== 2) return;
  const little = file[5] === 1;
  const elf = {
    u16: (bytes: Buffer, at: number) => (little ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at)),
    u32: (bytes: Buffer, at: number) => (little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at)),
    u64: (bytes: Buffer, at: number) =>
      Number(little ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at)),
  };
  try {
    const headers = elf.u64(file, 0x28);
    const [size, count, names] = [0x3a, 0x3c, 0x3e].map((at) => elf.u16(file, at)) as [
      number,
      number,
      number,
    ];
    const header = (index: number): number => headers + index * size;
    const content = (index: number): Buffer => {
      const offset = elf.u64(file, header(index) + 0x18);
      return file.subarray(offset, offset + elf.u64(file, header(index) + 0x20));
    };
    const strings = content(names);
    const sections = Array.from({ length: count }, (_, index) => ({
      name: stringAt(strings, elf.u32(file, header(index))),
      content: content(index),
    }));
    return { ...elf, sections };
  } catch (error) {
    // A cut or damaged file: the tables point outside of it.
    if (!(error instanceof RangeError)) throw error;
  }
  return;
}

function stringAt(strings: Buffer, start: number): string {
  return strings.toString("latin1", start, strings.indexOf(0, start));
}

/** The content of a 64-bit ELF file's section; undefined when it isn't ELF64 or has no such section. */
export function elfSection(file: Buffer, name: string): Buffer | undefined {
  return readElf(file)?.sections.find((section) => section.name === name)?.content;
}

export interface ElfSymbol {
  readonly name: string;
  /** The section that it is in. */
  readonly section: string;
  /** Of a relocatable file: bytes from the section's beginning. */
  readonly value: number;
}

const symbolBytes = 24;

/** A 64-bit ELF file's symbols that are in a section; none when it isn't ELF64. */
export function elfSymbols(file: Buffer): ElfSymbol[] {
  const elf = readElf(file);
  const [table, strings] = [".symtab", ".strtab"].map(
    (name) => elf?.sections.find((section) => section.name === name)?.content,
  );
  if (elf === undefined || table === undefined || strings === undefined) return [];
  const symbols: ElfSymbol[] = [];
  for (let at = 0; at + symbolBytes <= table.length; at += symbolBytes) {
    const name = stringAt(strings, elf.u32(table, at));
    const section = elf.sections[elf.u16(table, at + 6)]?.name ?? "";
    if (name !== "" && section !== "")
      symbols.push({ name, section, value: elf.u64(table, at + 8) });
  }
  return symbols;
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

/** What a module's `.modinfo` says about where it can be loaded. */
export interface ModuleIdentity {
  /** The kernel release that it was built for, the first word of its vermagic. */
  readonly release: string | undefined;
  /** The modules that it needs, by the kernel's names for them (modpost writes them). */
  readonly depends: readonly string[];
}

/** Reads a module's identity; without release when the file is no module. */
export async function moduleIdentity(file: string): Promise<ModuleIdentity> {
  const info = parseModinfo(await readFile(file));
  const depends = info?.get("depends")?.[0] ?? "";
  return {
    release: info?.get("vermagic")?.[0]?.split(" ")[0],
    depends: depends.split(",").filter((name) => name !== ""),
  };
}
