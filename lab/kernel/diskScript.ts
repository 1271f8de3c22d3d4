/**
 * Files into the root disk of an image without mounting it: a script for debugfs(8), which writes into
 * an ext4 file system in a file. Everything becomes root's. Pure but for reading the folder.
 */
import { readdir, readlink } from "node:fs/promises";
import { join } from "node:path/posix";

/** Of what is written in a script: debugfs reads words, and quotes around them. */
const word = (text: string): string => {
  if (/["\n]/.test(text)) throw new Error(`no file can be called so in a kernel: ${text}`);
  return `"${text}"`;
};

/**
 * Commands that copy all of a folder over the root of the file system. Folders that are there stay as
 * they are; files that are there are replaced.
 * @param existing whether the file system has this folder (absolute) already
 */
export async function debugfsScript(
  folder: string,
  existing: (path: string) => boolean,
): Promise<{ readonly commands: string; readonly files: number }> {
  const commands: string[] = [];
  let files = 0;
  const walk = async (relative: string): Promise<void> => {
    const here = `/${relative}`;
    const entries = await readdir(join(folder, relative), { withFileTypes: true });
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    if (relative !== "" && !existing(here)) commands.push(`mkdir ${word(here)}`);
    const leaves = entries.filter((entry) => !entry.isDirectory());
    if (leaves.length > 0) commands.push(`cd ${word(here)}`);
    for (const { name, ...entry } of leaves.map((each) => ({
      name: each.name,
      isLink: each.isSymbolicLink(),
    }))) {
      files += 1;
      const path = join(folder, relative, name);
      if (entry.isLink) commands.push(`symlink ${word(name)} ${word(await readlink(path))}`);
      else commands.push(`write ${word(path)} ${word(name)}`);
    }
    for (const entry of entries) if (entry.isDirectory()) await walk(join(relative, entry.name));
  };
  await walk("");
  return { commands: `${commands.join("\n")}\n`, files };
}

/**
 * What debugfs complained about: it says what it does on its standard output, and ends with 0 whatever
 * went wrong.
 */
export function debugfsComplaints(stderr: string): string[] {
  return stderr.split("\n").filter((line) => line !== "" && !/^debugfs \d/.test(line));
}
