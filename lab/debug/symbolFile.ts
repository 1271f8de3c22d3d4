/**
 * The kernel's own symbols for gdb: distributions' kernels come without debug information at hand, so
 * an ELF file with nothing but names and addresses is made of /proc/kallsyms. Pure. Form: elf(5).
 */

export interface KernelSymbol {
  readonly address: bigint;
  /** As nm(1) has it: t and T for code. */
  readonly type: string;
  readonly name: string;
}

/** The kernel is linked to the last 2 GiB; lower values are offsets within a processor's data. */
const kernelBegins = 0xffffffff80000000n;
/** Names in ASCII, without control characters: what the guest tells comes to a terminal. */
const linePattern = /^([0-9a-f]{16}) ([A-Za-z]) ([!-~]+)$/;

/** The symbols of the kernel itself; those of modules have their module's name behind them. */
export function parseKallsyms(text: string): KernelSymbol[] {
  const symbols: KernelSymbol[] = [];
  for (const line of text.split("\n")) {
    const [, address, type, name] = linePattern.exec(line) ?? [];
    if (address === undefined || type === undefined || name === undefined) continue;
    const value = BigInt(`0x${address}`);
    if (value >= kernelBegins) symbols.push({ address: value, type, name });
  }
  return symbols;
}

const headerBytes = 64;
const sectionBytes = 64;
const symbolBytes = 24;
const sectionNames = ["", ".text", ".symtab", ".strtab", ".shstrtab"];
const [textIndex, symbolTable, stringTable, nameTable] = [1, 2, 3, 4] as const;
const absolute = 0xfff1;

/**
 * An ELF file with these symbols and no content.
 * @throws RangeError when the kernel's code is not among them: kptr_restrict hides the addresses
 */
export function kernelSymbolFile(symbols: readonly KernelSymbol[]): Buffer {
  const find = (name: string): bigint | undefined =>
    symbols.find((symbol) => symbol.name === name)?.address;
  const [begin, end] = [find("_stext") ?? find("_text"), find("_etext")];
  if (begin === undefined || end === undefined || end <= begin)
    throw new RangeError("the kernel's list of symbols does not say where its code is");
  const names = [...new Set(["", ...symbols.map(({ name }) => name)])];
  const strings = stringsOf(names);
  const table = Buffer.alloc((symbols.length + 1) * symbolBytes);
  symbols.forEach(({ address, type, name }, index) => {
    const at = (index + 1) * symbolBytes;
    const isCode = /[tTwW]/.test(type) && address >= begin && address < end;
    table.writeUInt32LE(strings.offsets.get(name) ?? 0, at);
    // STB_GLOBAL: the table then needs no order. STT_FUNC or STT_NOTYPE.
    table.writeUInt8(0x10 | (isCode ? 2 : 0), at + 4);
    table.writeUInt16LE(isCode ? textIndex : absolute, at + 6);
    table.writeBigUInt64LE(address, at + 8);
  });
  const sections = stringsOf(sectionNames);
  const contents = [table, strings.content, sections.content];
  const [tableAt, stringsAt, namesAt, headersAt] = offsets(contents);
  const headers = Buffer.alloc(sectionNames.length * sectionBytes);
  const section = (index: number, fields: SectionHeader): void => {
    const at = index * sectionBytes;
    headers.writeUInt32LE(sections.offsets.get(sectionNames[index] ?? "") ?? 0, at);
    headers.writeUInt32LE(fields.type, at + 4);
    headers.writeBigUInt64LE(BigInt(fields.flags ?? 0), at + 8);
    headers.writeBigUInt64LE(fields.address ?? 0n, at + 16);
    headers.writeBigUInt64LE(BigInt(fields.offset), at + 24);
    headers.writeBigUInt64LE(BigInt(fields.size), at + 32);
    headers.writeUInt32LE(fields.link ?? 0, at + 40);
    headers.writeUInt32LE(fields.info ?? 0, at + 44);
    headers.writeBigUInt64LE(1n, at + 48);
    headers.writeBigUInt64LE(BigInt(fields.entry ?? 0), at + 56);
  };
  // SHT_NOBITS: the code itself is read from the guest. SHF_ALLOC | SHF_EXECINSTR.
  section(textIndex, { type: 8, flags: 6, address: begin, offset: 0, size: end - begin });
  section(symbolTable, {
    ...{ type: 2, offset: tableAt, size: table.length, link: stringTable, info: 1 },
    entry: symbolBytes,
  });
  section(stringTable, { type: 3, offset: stringsAt, size: strings.content.length });
  section(nameTable, { type: 3, offset: namesAt, size: sections.content.length });
  return Buffer.concat([fileHeader(headersAt), ...contents, headers]);
}

interface SectionHeader {
  readonly type: number;
  readonly flags?: number;
  readonly address?: bigint;
  readonly offset: number;
  readonly size: number | bigint;
  readonly link?: number;
  readonly info?: number;
  readonly entry?: number;
}

function stringsOf(names: readonly string[]): {
  readonly content: Buffer;
  readonly offsets: ReadonlyMap<string, number>;
} {
  const at = new Map<string, number>();
  let length = 0;
  for (const name of names) {
    at.set(name, length);
    length += Buffer.byteLength(name) + 1;
  }
  return { content: Buffer.from(names.map((name) => `${name}\0`).join("")), offsets: at };
}

/** Where the contents lie in the file, and where they end. */
function offsets([table, strings, names]: readonly Buffer[]): [number, number, number, number] {
  const stringsAt = headerBytes + (table?.length ?? 0);
  const namesAt = stringsAt + (strings?.length ?? 0);
  return [headerBytes, stringsAt, namesAt, namesAt + (names?.length ?? 0)];
}

function fileHeader(headersAt: number): Buffer {
  const header = Buffer.alloc(headerBytes);
  // 64 bits, little endian, version 1.
  header.write("\x7fELF\x02\x01\x01", "latin1");
  // ET_EXEC: the addresses are final. EM_X86_64.
  header.writeUInt16LE(2, 16);
  header.writeUInt16LE(62, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BigInt(headersAt), 40);
  header.writeUInt16LE(headerBytes, 52);
  header.writeUInt16LE(sectionBytes, 58);
  header.writeUInt16LE(sectionNames.length, 60);
  header.writeUInt16LE(nameTable, 62);
  return header;
}
