/** Finding an interpreter's program, as execvp(3) does. */
import { accessSync, constants, statSync } from "node:fs";
import { isAbsolute, join } from "node:path";

/**
 * The file to execute. A name with a slash is taken as it is (a relative one is relative to the
 * command's `dir`); any other is looked for on the search path of the plugin, not of the command.
 * Undefined when it isn't there. Relative folders on the path are not searched: what lies in the
 * working directory must not become a program by accident.
 */
export function findProgram(name: string, searchPath: string): string | undefined {
  if (name.includes("/")) return name;
  return searchPath
    .split(":")
    .filter(isAbsolute)
    .map((folder) => join(folder, name))
    .find(isExecutableFile);
}

function isExecutableFile(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
