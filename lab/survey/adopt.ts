/** Writing the manifest, and a first suite, for a tree of somebody else's. */
import { access, chmod, copyFile, mkdir, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import writeFileAtomic from "write-file-atomic";
import { leavesFolder, listSources } from "../build/sources.ts";
import { ConfigurationError, ExitCode, LabError } from "../config/errors.ts";
import { manifestName, parseManifest, type Manifest } from "../config/manifest.ts";
import { places } from "../config/places.ts";
import { listed } from "./dkmsSurvey.ts";
import { firstSuite, manifestText } from "./manifestText.ts";
import { surveyTree, type Survey } from "./survey.ts";

export interface Adoption {
  /** The source folder. */
  readonly source: string;
  readonly survey: Survey;
  /** The manifest's text, which parses. */
  readonly manifest: string;
  /** The files that were written, relative to the source folder; none of a dry run. */
  readonly written: readonly string[];
  /** What the manifest that was there before is called now. */
  readonly backup?: string;
}

export interface AdoptOptions {
  /** Write a new manifest though there is one; the old one is kept beside it. */
  readonly force: boolean;
  /** Write nothing. */
  readonly dryRun: boolean;
}

/**
 * Surveys a tree and writes its manifest; a first suite, too, where there is none. Nothing that is there
 * is overwritten.
 * @throws LabError (usage) when there is a manifest and no force, no such folder, or nothing to build.
 */
export async function adopt(source: string, { force, dryRun }: AdoptOptions): Promise<Adoption> {
  const status = await stat(source).catch(() => undefined);
  if (status?.isDirectory() !== true)
    throw new LabError(
      `${source} is no folder`,
      ExitCode.usage,
      "Name the module's source folder.",
    );
  const file = join(source, manifestName);
  const exists = await isThere(file);
  if (exists && !force && !dryRun)
    throw new LabError(
      `${file} is there already`,
      ExitCode.usage,
      "--force writes a new one and keeps the old one; --dry-run prints what it would be.",
    );
  const { survey, manifest } = await checkedManifest(source, await surveyTree(source));
  if (dryRun) return { source, survey, manifest, written: [] };
  const written: string[] = [];
  const [script = ""] = firstSuite.command;
  if (survey.suites.length === 0 && !(await isThere(join(source, script)))) {
    await writeFirstSuite(join(source, script));
    written.push(script);
  }
  const backup = exists ? await keepOld(source) : undefined;
  await writeFileAtomic(file, manifest);
  written.push(manifestName);
  return { source, survey, manifest, written, ...(backup !== undefined && { backup }) };
}

/**
 * The manifest's text, which is right as `vexlab manifest check` has it. Links that leave the folder,
 * which a package has to its documentation, are left out of the sources.
 */
async function checkedManifest(
  source: string,
  survey: Survey,
): Promise<{ readonly survey: Survey; readonly manifest: string }> {
  const check = (text: string): Manifest =>
    parseManifest(text, `${manifestName} as init writes it`);
  const manifest = manifestText(survey);
  const leaving = await linksOut(source, check(manifest));
  if (leaving.length === 0) return { survey, manifest };
  const missing = [...survey.missing, `links that leave the folder, left out: ${listed(leaving)}`];
  const without = { ...survey, missing, leftOut: leaving };
  const text = manifestText(without);
  await listSources(source, check(text));
  return { survey: without, manifest: text };
}

async function linksOut(source: string, manifest: Manifest): Promise<string[]> {
  try {
    await listSources(source, manifest);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    const leaving = error.faults.filter(({ problem }) => problem === leavesFolder);
    if (leaving.length < error.faults.length) throw error;
    return leaving.map(({ key }) => key);
  }
}

async function writeFirstSuite(file: string): Promise<void> {
  const template = join(places().checkout, "lab", "survey", "firstSuite.sh");
  await mkdir(dirname(file), { recursive: true });
  await writeFileAtomic(file, await readFile(template));
  await chmod(file, 0o755);
}

/** Copies the manifest to a name of its own, which never is a source (`*~`). */
async function keepOld(source: string): Promise<string> {
  for (let number = 1; ; number++) {
    const name = `${manifestName}.~${number}~`;
    if (await isThere(join(source, name))) continue;
    await copyFile(join(source, manifestName), join(source, name));
    return name;
  }
}

const isThere = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );
