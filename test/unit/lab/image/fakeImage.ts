/** A cache in a temporary folder with images that look finished. */
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { imageFolder, makeCache, type Manifest } from "../../../../lab/image/cache.ts";
import { digestTree } from "../../../../lab/image/verify.ts";

export async function temporaryCache(): Promise<string> {
  const cache = await mkdtemp(join(tmpdir(), "vexlab-cache-"));
  await makeCache(cache);
  return cache;
}

export async function putImage(cache: string, id: string, recipeHash = "abc"): Promise<Manifest> {
  const folder = imageFolder(id, cache);
  await mkdir(join(folder, "sysroot/usr/lib/modules/6.1.0-test"), { recursive: true });
  await writeFile(join(folder, "sysroot/file"), "in the sysroot");
  const files: Manifest["files"] = {};
  for (const name of ["root.qcow2", "vmlinuz", "initrd"]) {
    const content = `${name} of ${id}`;
    await writeFile(join(folder, name), content);
    const sha256 = createHash("sha256").update(content).digest("hex");
    files[name] = { sha256, bytes: content.length };
  }
  const manifest: Manifest = {
    id,
    recipe: id.replace(/-[0-9a-f]{12}$/, ""),
    recipeHash,
    kernelRelease: "6.1.0-test",
    created: "2024-01-01T00:00:00.000Z",
    packages: { gcc: "12" },
    files,
    sysrootDigest: await digestTree(join(folder, "sysroot")),
  };
  await writeFile(join(folder, "manifest.json"), JSON.stringify(manifest));
  return manifest;
}
