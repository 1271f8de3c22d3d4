/** Running a build in a folder, a new one or one with what the last build left, and checking it. */
import type { WriteStream } from "node:fs";
import { copyFile, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { collectArtefacts, WrongArtefacts } from "./artefacts.ts";
import type { BuildTree } from "./buildTree.ts";
import { kbuildCommandsFile, readKbuildCommands } from "./compileCommands.ts";
import { copyTree } from "./copy.ts";
import type { Build, BuildContext } from "./request.ts";
import type { Artefact } from "./result.ts";
import { StepFailed } from "./steps.ts";

/**
 * Builds from nothing, in a folder that is thrown away.
 * @throws LabError, see Builder; WrongArtefacts.
 */
export async function buildInCopy(
  build: Build,
  context: BuildContext,
  log: WriteStream,
): Promise<Artefact[]> {
  const copy = join(build.work, "built");
  await copyTree(join(build.work, "tree"), copy, build.manifest);
  const artefacts = await run(build, copy, context, log);
  await takeArtefacts(build, copy, artefacts);
  await rm(copy, { recursive: true, force: true });
  return artefacts;
}

/**
 * Builds on from what the last build left in the tree, and leaves it for the next one when what is
 * in it is whole.
 * @throws LabError, see Builder; WrongArtefacts when also a clean build does not make them.
 */
export async function buildInTree(
  build: Build,
  former: BuildTree,
  context: BuildContext,
  log: WriteStream,
): Promise<Artefact[]> {
  const attempt = async (): Promise<Artefact[]> => {
    try {
      return await run(build, former.folder, context, log);
    } catch (error) {
      if (error instanceof StepFailed && error.leavesWholeFiles) await former.keep();
      throw error;
    }
  };
  const copy = join(build.work, "tree");
  const before = await former.prepare(copy, build.manifest);
  let artefacts: Artefact[];
  try {
    artefacts = await attempt();
  } catch (error) {
    if (before === "clean" || !(error instanceof WrongArtefacts)) throw error;
    // Commands that keep stamps of their own did not notice that the artefact was taken away, or it
    // is what was made before that is wrong. Only a clean build may blame the sources.
    const why = "an artefact was not made anew: building again from nothing";
    log.write(`== ${why}\n`);
    context.progress.line(why);
    await former.discard();
    await former.prepare(copy, build.manifest);
    artefacts = await attempt();
  }
  await takeArtefacts(build, former.folder, artefacts);
  const { builder, manifest, image } = build;
  if (builder.sysroot !== undefined) {
    const { folder } = manifest.module;
    const release = image.kernelRelease;
    const commands = await readKbuildCommands(former.folder, folder, builder.sysroot, release);
    await writeFile(kbuildCommandsFile(build.work), JSON.stringify(commands));
  }
  await former.keep();
  return artefacts;
}

/** Runs the builder in a folder, its output to the progress and the log, and checks what it made. */
async function run(
  { wanted, image, builder }: Build,
  folder: string,
  { progress, signal }: BuildContext,
  log: WriteStream,
): Promise<Artefact[]> {
  const lines = byLine((line) => progress.line(line));
  const made = await builder.build({
    folder,
    manifest: wanted,
    kernelRelease: image.kernelRelease,
    onOutput: (text) => {
      log.write(text);
      lines.add(text);
    },
    onStep: (name) => {
      const step = progress.step(name);
      log.write(`== ${name}\n`);
      return (outcome) => {
        lines.flush();
        step[outcome]();
      };
    },
    ...(signal === undefined ? {} : { signal }),
  });
  return collectArtefacts(folder, wanted, image.kernelRelease, made);
}

/** Copies the artefacts to the sources that become the result. */
async function takeArtefacts(
  { work }: Build,
  built: string,
  artefacts: readonly Artefact[],
): Promise<void> {
  for (const { path } of artefacts) {
    const to = join(work, "tree", path);
    await mkdir(dirname(to), { recursive: true });
    await copyFile(join(built, path), to);
  }
}

/** Cuts a stream of text into whole lines. */
function byLine(pass: (line: string) => void): { add(text: string): void; flush(): void } {
  let rest = "";
  return {
    add(text) {
      const lines = (rest + text).split(/\r?\n/);
      rest = lines.pop() ?? "";
      lines.forEach(pass);
    },
    flush() {
      if (rest !== "") pass(rest);
      rest = "";
    },
  };
}
