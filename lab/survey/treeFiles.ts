/** The files of a tree that we know nothing of, as far as they say what it is. */
import { open, readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path/posix";
import { ExitCode, LabError } from "../config/errors.ts";

// Version control, other people's programs, build outputs, and what vexlab itself makes.
const skipped = new Set(["node_modules", "target", "test_results", "CMakeFiles"]);
const mostFiles = 50_000;
const mostText = 256 * 1024;

/** Every regular file, relative to the tree, the nearest to the root first; no hidden folders. */
export async function treeFiles(tree: string): Promise<string[]> {
  const files: string[] = [];
  let folders = [""];
  while (folders.length > 0) {
    const below: string[] = [];
    for (const folder of folders) {
      const entries = await readdir(join(tree, folder), { withFileTypes: true });
      entries.sort((a, b) => (a.name < b.name ? -1 : 1));
      for (const entry of entries) {
        const path = join(folder, entry.name);
        if (entry.isFile()) files.push(path);
        else if (entry.isDirectory() && !entry.name.startsWith(".") && !skipped.has(entry.name))
          below.push(path);
      }
    }
    if (files.length > mostFiles)
      throw new LabError(
        `${tree} has more than ${mostFiles} files: it is no module's source folder`,
        ExitCode.usage,
        "Name the folder of the module itself.",
      );
    folders = below;
  }
  return files;
}

/** The beginning of a file as text, enough for any source; empty when it can't be read. */
export async function textOf(tree: string, path: string): Promise<string> {
  try {
    const file = await open(join(tree, path));
    try {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(mostText), 0, mostText, 0);
      return buffer.toString("utf8", 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch {
    return "";
  }
}

/** Whether a file may be run as a program. */
export async function isProgram(tree: string, path: string): Promise<boolean> {
  return ((await stat(join(tree, path))).mode & 0o111) !== 0;
}

/** Those of the files that have one of these names. */
export function named(files: readonly string[], ...names: readonly string[]): string[] {
  return files.filter((file) => names.includes(basename(file)));
}
