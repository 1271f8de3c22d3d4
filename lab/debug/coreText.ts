/** What lies at an address of the kernel in a core file that has its addresses (virtualCore.ts). Form: elf(5). */
import { open } from "node:fs/promises";

const headerBytes = 56;
const loadType = 1;
/** Where the kernel's half of the addresses begins (Linux' Documentation/arch/x86/x86_64/mm.rst). */
const kernelHalf = 1n << 63n;

/**
 * Reads a text of ASCII that ends with a zero.
 * @returns undefined when nothing of the file is at that address
 */
export async function textAt(
  core: string,
  address: bigint,
  mostBytes: number,
): Promise<string | undefined> {
  const handle = await open(core);
  try {
    const take = async (at: number, bytes: number): Promise<Buffer> => {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, at);
      return buffer.subarray(0, bytesRead);
    };
    const header = await take(0, 64);
    if (header.length < 64 || header.readUInt32BE(0) !== 0x7f454c46) return undefined;
    const bytes = header.readUInt16LE(56) * headerBytes;
    const headers = await take(Number(header.readBigUInt64LE(32)), bytes);
    for (let at = 0; at + headerBytes <= headers.length; at += headerBytes) {
      const [virtual, length] = [
        headers.readBigUInt64LE(at + 16),
        headers.readBigUInt64LE(at + 32),
      ];
      // The machine's own memory, by physical addresses, has none of the kernel's.
      if (headers.readUInt32LE(at) !== loadType || virtual < kernelHalf) continue;
      if (address < virtual || address >= virtual + length) continue;
      const offset = headers.readBigUInt64LE(at + 8) + address - virtual;
      const left = Number(virtual + length - address);
      const content = await take(Number(offset), Math.min(mostBytes, left));
      const end = content.indexOf(0);
      return content.subarray(0, end === -1 ? content.length : end).toString("latin1");
    }
    return undefined;
  } finally {
    await handle.close();
  }
}
