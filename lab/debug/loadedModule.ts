/** What gdb has to know of a guest: which build its modules are of, where they lie, the kernel's symbols. */
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import writeFileAtomic from "write-file-atomic";
import { elfSection } from "../build/elf.ts";
import { buildResultSchema, type BuildResult } from "../build/result.ts";
import { resultFile } from "../build/results.ts";
import { ExitCode, LabError } from "../config/errors.ts";
import type { Guest } from "../run/guest.ts";
import { moduleName } from "../run/moduleOrder.ts";
import { parseSections, type DebuggedModule } from "./gdbArguments.ts";
import { kernelSymbolFile, parseKallsyms } from "./symbolFile.ts";

const commandMs = 60_000;
const noteSection = ".note.gnu.build-id";

async function asRoot(guest: Guest, argv: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await guest.run(["sudo", "-n", ...argv], {
    deadlineMs: commandMs,
  });
  if (exitCode === 0) return stdout;
  throw new LabError(
    `${argv[0] ?? ""} failed in the guest: ${stderr.trim()}`,
    ExitCode.infrastructureFailed,
  );
}

/** Builds of the stack with debug information whose modules are loaded in the guest. */
export async function loadedModules(
  guest: Guest,
  results: string,
): Promise<{ readonly tree: string; readonly modules: readonly DebuggedModule[] } | undefined> {
  for (const build of await buildsIn(results)) {
    const modules: DebuggedModule[] = [];
    for (const { path } of build.artefacts.filter((artefact) => artefact.path.endsWith(".ko"))) {
      const note = elfSection(await readFile(join(build.folder, path)), noteSection);
      const sections = note && (await sectionsOf(guest, moduleName(path), note));
      if (sections !== undefined) modules.push({ file: path, sections });
    }
    if (modules.length > 0) return { tree: build.folder, modules };
  }
  return undefined;
}

/** The modules of the stack's newest build, loaded or not. */
export async function newestModules(
  results: string,
): Promise<{ readonly tree: string; readonly modules: readonly { file: string }[] } | undefined> {
  const builds = await Promise.all(
    (await buildsIn(results)).map(async (build) => ({
      build,
      at: (await stat(build.folder)).mtimeMs,
    })),
  );
  const [newest] = builds.toSorted((one, other) => other.at - one.at);
  if (newest === undefined) return undefined;
  const { folder, artefacts } = newest.build;
  const modules = artefacts.filter(({ path }) => path.endsWith(".ko"));
  return { tree: folder, modules: modules.map(({ path }) => ({ file: path })) };
}

// The note says which build a module is of; the file names of sections begin with a dot.
const sectionsScript = `
cd "/sys/module/$1" 2>/dev/null || exit 0
base64 -w 0 notes/${noteSection}; echo
for file in sections/.*; do [ ! -f "$file" ] || echo "\${file#*/} $(cat "$file")"; done`;

async function sectionsOf(
  guest: Guest,
  name: string,
  note: Buffer,
): Promise<DebuggedModule["sections"] | undefined> {
  const text = await asRoot(guest, ["sh", "-c", sectionsScript, "sh", name]);
  const [loaded = "", ...lines] = text.split("\n");
  if (loaded !== note.toString("base64")) return undefined;
  return parseSections(lines.join("\n"));
}

async function buildsIn(results: string): Promise<BuildResult[]> {
  const names = await readdir(results).catch(() => []);
  const builds = await Promise.all(
    names.map(async (name) => {
      const text = await readFile(resultFile(join(results, name)), "utf8").catch(() => "");
      return text === "" ? undefined : buildResultSchema.safeParse(JSON.parse(text)).data;
    }),
  );
  return builds.filter((build) => build !== undefined);
}

/** /proc/kallsyms without the symbols of modules. */
export const readKallsyms = (guest: Guest): Promise<string> =>
  asRoot(guest, ["awk", "NF == 3", "/proc/kallsyms"]);

/** The file with the symbols of the guest's kernel, made anew in the folder. */
export async function kernelSymbols(guest: Guest, folder: string): Promise<string> {
  const text = await readKallsyms(guest);
  const file = join(folder, "gdb", "vmlinux");
  await mkdir(join(folder, "gdb"), { recursive: true, mode: 0o700 });
  await writeFileAtomic(file, kernelSymbolFile(parseKallsyms(text)));
  return file;
}
