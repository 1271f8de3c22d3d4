/** Where the kernel of an image is from, as results tell it. */
import * as z from "zod";

export const kernelPackageSchema = z.strictObject({
  name: z.string().describe("such as linux-image-6.1.0-56-amd64"),
  version: z.string(),
  suite: z.string().describe("of the archive that had it"),
});

export type KernelPackage = Readonly<z.infer<typeof kernelPackageSchema>>;

/** In words: `6.1.0-56-amd64 (6.1.192-2, bookworm-security)`. */
export function describeKernel(release: string, from: KernelPackage | undefined): string {
  return from === undefined ? release : `${release} (${from.version}, ${from.suite})`;
}
