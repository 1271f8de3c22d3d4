/**
 * `compile_commands.json` for the editor (https://clang.llvm.org/docs/JSONCompilationDatabase.html):
 * how each of the user's own files is compiled, with the kernel's headers in the image's sysroot.
 *
 * The source is what Kbuild leaves beside every object, `.<object>.o.cmd`, written by fixdep and the
 * cmd macros of the kernel's scripts/Kbuild.include.
 */
import { readdir, readFile, readlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path/posix";
import { parse } from "shell-quote";
import writeFileAtomic from "write-file-atomic";
import * as z from "zod";
import { buildMount } from "./steps.ts";

/** An entry; paths are those of the build's sandbox, or of the host after {@link onHost}. */
export const compileCommandSchema = z.strictObject({
  /** Where the compiler ran; relative paths in the arguments are relative to it. */
  directory: z.string(),
  file: z.string(),
  arguments: z.array(z.string()),
});
export type CompileCommand = Readonly<z.infer<typeof compileCommandSchema>>;

/** How an object was made, as Kbuild recorded it. */
export interface KbuildCommand {
  /** The object, as make calls it: absolute, or from 6.13 on relative to the module's folder. */
  readonly target: string;
  readonly source: string;
  readonly arguments: readonly string[];
}

/**
 * The compiler's command in a `.cmd` file: `savedcmd_<target> := <command>`, before Linux 6.2
 * `cmd_<target> := …`, and `source_<target> := <source>`. make reads the file, so `$` is written as
 * `$$`, and `#`, which begins a comment, as `$(pound)`, before Linux 4.16 as `\#`.
 * @returns undefined when the file is of no compilation: a link, a list of objects, something else.
 */
export function parseKbuildCommand(text: string): KbuildCommand | undefined {
  const command = /^(?:saved)?cmd_(\S+) := *(.*)$/m.exec(text);
  const source = /^source_(\S+) := *(.*\S) *$/m.exec(text);
  if (command?.[1] === undefined || command[1] !== source?.[1]) return undefined;
  const shell = unescapeMake(command[2] ?? "");
  // Variables stay as they are written: nothing is to be expanded.
  const words = parse(shell, (name) => `$${name}`);
  // Other commands may follow the compiler's: `; ./tools/objtool/objtool …`.
  const end = words.findIndex((word) => typeof word !== "string");
  const first = (end < 0 ? words : words.slice(0, end)).filter((word) => typeof word === "string");
  const path = unescapeMake(source[2] ?? "");
  return first.includes(path) ? { target: command[1], source: path, arguments: first } : undefined;
}

function unescapeMake(text: string): string {
  return text.replace(/\$\$|\$\(pound\)|\\#/g, (escaped) => (escaped === "$$" ? "$" : "#"));
}

/**
 * The commands that compiled the objects in a built tree.
 * @param folder of the module, relative to the tree.
 * @returns in the order of the files' names, with the sandbox's paths.
 */
export async function readKbuildCommands(
  tree: string,
  folder: string,
  sysroot: string,
  kernelRelease: string,
): Promise<CompileCommand[]> {
  const module = join(buildMount, folder);
  const link = join("/lib/modules", kernelRelease, "build");
  // Only the last part of the path is an absolute link, which the host would follow to its own.
  const headers = resolve(link, "..", await readlink(join(sysroot, link)).catch(() => "build"));
  const commands: CompileCommand[] = [];
  const entries = await readdir(join(tree, folder), { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    if (!entry.isFile() || !/^\..*\.o\.cmd$/.test(entry.name)) continue;
    const text = await readFile(join(entry.parentPath, entry.name), "utf8");
    const command = parseKbuildCommand(text);
    if (command === undefined) continue;
    // Since Linux 6.13 make runs in the module's folder, before it ran in the headers'.
    const directory = command.target.startsWith("/") ? headers : module;
    const file = resolve(directory, command.source);
    commands.push({ directory, file, arguments: [...command.arguments] });
  }
  return commands.sort((a, b) => (a.file < b.file ? -1 : 1));
}

/** Where what the sandbox saw is on the host. */
export interface HostFolders {
  /** The user's source folder. */
  readonly source: string;
  readonly sysroot: string;
}

// -Wp,-MMD,<file> and -o <file>: a program that runs the command must not write beside the user's
// sources. Plugins are gcc's own, and clangd would try to load them.
const withoutValue = /^(-Wp,-M|-M[DMGP]*$|-fplugin)/;
const withValue = /^-(o|MF|MT|MQ)$/;
const pathOption = /^(-I|-isystem|-iquote|-idirafter|-include|-imacros)?(\/.*)$/;

/** A command of the sandbox as one of the host: absolute paths are the user's or the sysroot's. */
export function onHost(command: CompileCommand, { source, sysroot }: HostFolders): CompileCommand {
  const place = (path: string): string => {
    if (path === buildMount) return source;
    const inTree = path.startsWith(`${buildMount}/`);
    return inTree ? join(source, path.slice(buildMount.length)) : join(sysroot, path);
  };
  const result: string[] = [];
  for (let at = 0; at < command.arguments.length; at++) {
    const word = command.arguments[at] ?? "";
    if (withValue.test(word)) at++;
    else if (!withoutValue.test(word)) {
      const [, option = "", path] = pathOption.exec(word) ?? [];
      result.push(path === undefined || at === 0 ? word : `${option}${place(path)}`);
    }
  }
  return { directory: place(command.directory), file: place(command.file), arguments: result };
}

/** Where the commands of a result are kept, with the sandbox's paths. */
export const kbuildCommandsFile = (result: string): string => join(result, "kbuild-commands.json");

/**
 * Writes `compile_commands.json` beside a finished result's folder, atomically, in place of that of
 * the last build. One that would be the same stays as it is, because clangd reads a new one again.
 * @param result the folder of the result.
 * @param sources the user's files relative to their folder; generated files are left out.
 * @returns the file's path, or undefined when the result has no compilations on record.
 */
export async function updateCompileCommands(
  result: string,
  sources: ReadonlySet<string>,
  folders: HostFolders,
): Promise<string | undefined> {
  const recorded = await readFile(kbuildCommandsFile(result), "utf8").catch(() => undefined);
  if (recorded === undefined) return undefined;
  const own = z
    .array(compileCommandSchema)
    .parse(JSON.parse(recorded))
    .filter(({ file }) => sources.has(file.slice(buildMount.length + 1)))
    .map((command) => onHost(command, folders));
  if (own.length === 0) return undefined;
  const file = join(dirname(result), "compile_commands.json");
  const text = `${JSON.stringify(own, null, 2)}\n`;
  if (text !== (await readFile(file, "utf8").catch(() => undefined))) {
    await writeFileAtomic(file, text);
  }
  return file;
}
