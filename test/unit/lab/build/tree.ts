/** Source trees for the tests of lab/build. */
import { mkdir, mkdtemp, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseManifest, type Manifest } from "../../../../lab/config/manifest.ts";

export const manifestText = [
  "name: hello",
  "module: {folder: kernel, artefacts: [hello.ko]}",
  "tools: [{name: hi, command: [make], artefacts: [bin/hi]}]",
  "sources: {exclude: [drafts/, '!kept.o']}",
].join("\n");

export const manifest: Manifest = parseManifest(manifestText);

/** A new folder with the manifest and these files; a value `-> x` is a symbolic link to x. */
export async function makeTree(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tree-"));
  for (const [path, content] of Object.entries({ "vexlab.yaml": manifestText, ...files })) {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    if (content.startsWith("-> ")) await symlink(content.slice(3), file);
    else await writeFile(file, content);
  }
  return folder;
}
