/**
 * Building the module under test: copy, hash, build, check, keep.
 *
 * A result's folder is named by everything that decides its content, appears under that name only
 * when it is whole, and holds the sources (tests included) and the artefacts, but nothing else of
 * what the build left. Building again with nothing changed gives the result that is there. On the
 * host a build goes on from what the last one left in its tree, and makes what a clean one would.
 */
import { createHash, randomBytes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { finished } from "node:stream/promises";
import { cannotWrite, isDiskFull } from "../config/diskSpace.ts";
import { ExitCode, LabError } from "../config/errors.ts";
import { withToolsFor, type Manifest } from "../config/manifest.ts";
import { places } from "../config/places.ts";
import { hashArtefacts } from "./artefacts.ts";
import { treeKey, withBuildTree, type BuildTree } from "./buildTree.ts";
import { updateCompileCommands } from "./compileCommands.ts";
import { copySources } from "./copy.ts";
import { keepFailedLog, openResult, prune, resultFile, resultsFolder } from "./results.ts";
import type { Build, BuildContext, BuildRequest } from "./request.ts";
import type { BuildResult } from "./result.ts";
import { buildInCopy, buildInTree } from "./runBuild.ts";
import { hashSources, listSources } from "./sources.ts";
import { StepFailed } from "./steps.ts";

export type { BuildContext, BuildRequest } from "./request.ts";

/**
 * The built module, from an earlier build when nothing that decides it has changed.
 * @throws ConfigurationError for a wrong manifest or source folder; LabError buildFailed, hung (the
 * builder's deadline), cancelled, infrastructureFailed. Of a failure its log is left, and the tree.
 */
export async function buildModule(
  request: BuildRequest,
  context: BuildContext,
): Promise<BuildResult> {
  const { progress, signal } = context;
  const { builder, image, clean = false } = request;
  const results = resultsFolder(request.stack, context.places ?? places());
  const work = join(results, `.building-${process.pid}-${randomBytes(4).toString("hex")}`);
  try {
    await mkdir(work, { recursive: true });
    const tree = join(work, "tree");
    const manifest = await copySources(request.source, tree);
    const sourceHash = await hashSources(tree, manifest);
    const wanted = withToolsFor(manifest, request.suites);
    const folderOf = (part: Manifest): string =>
      join(results, resultKey(request, part, sourceHash));
    const folder = folderOf(wanted);
    const build: Build = { ...request, manifest, wanted, sourceHash, work, folder };

    const isBuilt = async (): Promise<BuildResult | undefined> => {
      // Who has built all has built what is wanted.
      const earlier =
        (await openResult(folderOf(manifest), manifest)) ?? (await openResult(folder, manifest));
      if (earlier === undefined) return undefined;
      progress.line(`${manifest.name} is already built (${sourceHash.slice(0, 12)})`);
      await offerToEditor({ ...build, folder: dirname(earlier.folder) }, earlier, context);
      return earlier;
    };
    const earlier = clean ? undefined : await isBuilt();
    if (earlier !== undefined) return earlier;

    const buildIn = async (former?: BuildTree): Promise<BuildResult> => {
      const kept = await publish(build, await buildInto(build, former, context));
      await prune(results, folder);
      await offerToEditor(build, kept, context);
      return kept;
    };
    if (builder.on === "guest") return await buildIn();
    // A build that is waited for may run as long as this one.
    const options = { progress, signal, deadlineMs: builder.deadlineMs + 60_000 };
    return await withBuildTree(
      join(results, "trees"),
      treeKey(image, manifest),
      options,
      async (former, waited) => {
        // Patches and programs of a DKMS package change sources, and add some.
        if (clean || manifest.module.dkms !== undefined) await former.discard();
        return (waited && !clean ? await isBuilt() : undefined) ?? (await buildIn(former));
      },
    );
  } catch (error) {
    throw wantsSpace(error) ? await cannotWrite(results, error) : error;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Whether the host's disk is to blame, and not the sources. */
function wantsSpace(error: unknown): boolean {
  const first = error instanceof LabError && error.cause !== undefined ? error.cause : error;
  return first instanceof StepFailed ? first.wantsSpace : isDiskFull(first);
}

/** The name of a result: sources, what of the manifest is built, image and place of the build. */
function resultKey(request: BuildRequest, manifest: Manifest, sourceHash: string): string {
  const { image, builder } = request;
  const parts = [sourceHash, manifest, image.id, image.kernelRelease, builder.on];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}

async function buildInto(
  build: Build,
  former: BuildTree | undefined,
  context: BuildContext,
): Promise<BuildResult> {
  const { work, folder, manifest, sourceHash, image, builder } = build;
  const { progress } = context;
  const log = createWriteStream(join(work, "build.log"));
  // What could not be written is told when it is closed.
  log.on("error", () => undefined);
  const where = builder.on === "host" ? `on the host in ${image.id}` : "in the guest";
  const whole = progress.step(`build ${manifest.name} ${where}`);
  const began = performance.now();
  try {
    const artefacts =
      former === undefined
        ? await buildInCopy(build, context, log)
        : await buildInTree(build, former, context, log);
    const seconds = Math.round(performance.now() - began) / 1000;
    whole.done(artefacts.map(({ path }) => path).join(", "));
    return {
      sourceHash,
      artefactHash: hashArtefacts(artefacts),
      imageId: image.id,
      kernelRelease: image.kernelRelease,
      ...(image.kernelPackage && { kernelPackage: image.kernelPackage }),
      builtOn: builder.on,
      folder: join(folder, "tree"),
      artefacts,
      seconds,
      logFile: join(folder, "build.log"),
    };
  } catch (error) {
    whole.failed();
    if (!(error instanceof LabError)) throw error;
    log.write(`${error.message}\n`);
    log.end();
    await finished(log);
    const kept = await keepFailedLog(work);
    if (error.exitCode === ExitCode.cancelled) throw error;
    throw new LabError(`${error.message}\n  log: ${kept}`, error.exitCode, error.next, {
      cause: error,
    });
  } finally {
    log.end();
    await finished(log);
  }
}

/** Gives the finished folder its name; when another build of the same was faster, that one stands. */
async function publish(
  { work, folder, manifest, clean }: Build,
  result: BuildResult,
): Promise<BuildResult> {
  await writeFile(resultFile(work), `${JSON.stringify(result, null, 2)}\n`, { flush: true });
  for (let attempt = 1; ; attempt++) {
    try {
      await rename(work, folder);
      return result;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if ((code !== "ENOTEMPTY" && code !== "EEXIST") || attempt === 3) throw error;
    }
    const other = await openResult(folder, manifest);
    const isSame = other?.artefactHash === result.artefactHash;
    if (other !== undefined && (isSame || clean !== true)) return other;
    // A damaged result of the same name, or one that a clean build was asked to replace.
    await rm(folder, { recursive: true, force: true });
  }
}

/** Says how the user's own files are compiled, where that is known. */
async function offerToEditor(
  { source, builder, manifest, folder }: Build,
  result: BuildResult,
  { progress }: BuildContext,
): Promise<void> {
  if (builder.sysroot === undefined) return;
  const folders = { source: resolve(source), sysroot: builder.sysroot };
  const sources = await listSources(result.folder, manifest);
  const own = new Set(sources.map(({ path }) => path));
  const file = await updateCompileCommands(folder, own, folders);
  if (file !== undefined) progress.line(`for the editor: ${file}`);
}
