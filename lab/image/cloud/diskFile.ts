/**
 * What a disk image says of itself in its first bytes, before QEMU sees it: a qcow2 file can name other
 * files of the host, which a guest would then read.
 *
 * Source: QEMU's docs/interop/qcow2.txt.
 */
import { open, stat } from "node:fs/promises";
import { ExitCode, LabError } from "../../config/errors.ts";

export interface DiskFile {
  readonly format: "qcow2" | "raw";
  /** The size of the disk that a guest sees. */
  readonly virtualBytes: number;
}

const headBytes = 1024;

/** @throws LabError when it is no disk image, or one that leans on other files */
export async function inspectDisk(file: string, what: string): Promise<DiskFile> {
  const head = Buffer.alloc(headBytes);
  const handle = await open(file, "r");
  const { bytesRead } = await handle.read(head, 0, headBytes, 0).finally(() => handle.close());
  const { size } = await stat(file);
  const disk = readHead(head.subarray(0, bytesRead), size);
  if (typeof disk !== "string") return disk;
  throw new LabError(
    `${what} can't be used: ${disk}`,
    ExitCode.infrastructureFailed,
    "Give the address of a qcow2 or raw disk image with a boot loader; unpack what is packed first.",
  );
}

const packed: readonly (readonly [string, string])[] = [
  ["fd377a585a00", "xz"],
  ["1f8b", "gzip"],
  ["28b52ffd", "zstd"],
  ["425a68", "bzip2"],
  ["504b0304", "zip"],
];

/** What the first bytes of a file of a size say; a text tells what is wrong with it. */
export function readHead(head: Buffer, size: number): DiskFile | string {
  if (head.length >= 4 && head.readUInt32BE(0) === 0x514649fb) return readQcow2(head);
  const start = head.toString("hex");
  const pack = packed.find(([magic]) => start.startsWith(magic));
  if (pack !== undefined) return `it is packed (${pack[1]})`;
  if (/^\s*<(!doctype|html|\?xml)/i.test(head.toString("latin1"))) return "it is a web page";
  if (head.length < 512 || head.readUInt16BE(510) !== 0x55aa)
    return "it is neither qcow2 nor a raw disk with a boot sector or partition table";
  if (size % 512 !== 0) return `its ${size} bytes are no whole number of sectors`;
  return { format: "raw", virtualBytes: size };
}

const feature = { corrupt: 2n, externalData: 4n };

function readQcow2(head: Buffer): DiskFile | string {
  if (head.length < 72) return "it is cut off in its first bytes";
  const version = head.readUInt32BE(4);
  if (version !== 2 && version !== 3) return `it is qcow2 of version ${version}`;
  if (head.readBigUInt64BE(8) !== 0n) return "it lies over another file (a backing file)";
  if (head.readUInt32BE(32) !== 0) return "it is encrypted";
  const features = version === 3 && head.length >= 80 ? head.readBigUInt64BE(72) : 0n;
  if ((features & feature.externalData) !== 0n) return "its content is in another file";
  if ((features & feature.corrupt) !== 0n) return "it is marked as corrupt";
  const virtualBytes = Number(head.readBigUInt64BE(24));
  if (virtualBytes === 0 || virtualBytes > 2 ** 43) return `its disk has ${virtualBytes} bytes`;
  return { format: "qcow2", virtualBytes };
}
