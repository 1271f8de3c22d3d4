/**
 * What can be found out about a tree with a kernel module: how it is built, what is made of it, how it
 * is tested. Nothing in it is changed, and its programs run in a sandbox only.
 */
import { basename, dirname, join } from "node:path/posix";
import { ExitCode, LabError } from "../config/errors.ts";
import { surveyCargo, type CargoSurvey } from "./cargoSurvey.ts";
import { dkmsFindings, listed, surveyDkms, type DkmsSurvey } from "./dkmsSurvey.ts";
import { surveyKbuild, type KbuildSurvey } from "./kbuildSurvey.ts";
import { asName, surveySuites, type FoundSuite } from "./suiteSurvey.ts";
import { isProgram, named, textOf, treeFiles } from "./treeFiles.ts";
import { readingPlaces, type ReadingPlace } from "./treeSandbox.ts";

export interface Survey {
  /** For the manifest. */
  readonly name: string;
  /** Folder of the module, relative to the tree. */
  readonly folder: string;
  /** The dkms.conf by which it is built, relative to the folder. */
  readonly dkms?: string;
  /** More arguments of make. */
  readonly make: readonly string[];
  /** The modules, relative to the folder; of a dkms.conf those of any kernel. */
  readonly modules: readonly string[];
  readonly filesystem?: string;
  readonly parameters: readonly string[];
  readonly tools: readonly CargoSurvey[];
  readonly suites: readonly FoundSuite[];
  /** Files that can't be sources; none when undefined. */
  readonly leftOut?: readonly string[];
  /** What was found, a sentence each. */
  readonly found: readonly string[];
  /** What could not be found out, or what will need a person. */
  readonly missing: readonly string[];
}

/** What decides the module's part of the manifest. */
type Module = Pick<Survey, "folder" | "dkms" | "make" | "modules"> & { readonly name: string };

/**
 * Surveys a tree.
 * @throws LabError (usage) when nothing in it builds a kernel module.
 */
export async function surveyTree(tree: string, places?: readonly ReadingPlace[]): Promise<Survey> {
  const files = await treeFiles(tree);
  return new TreeSurvey(tree, files, places ?? (await readingPlaces())).run();
}

class TreeSurvey {
  private readonly found: string[] = [];
  private readonly missing: string[] = [];

  constructor(
    private readonly tree: string,
    private readonly files: readonly string[],
    private readonly places: readonly ReadingPlace[],
  ) {}

  async run(): Promise<Survey> {
    const { found, missing, tree, files } = this;
    const module = (await this.dkms()) ?? (await this.kbuild());
    if (module === undefined)
      throw new LabError(
        `nothing in ${tree} builds a kernel module: no dkms.conf, and no Kbuild or Makefile with obj-m`,
        ExitCode.usage,
        missing.length > 0 ? missing.join("\n") : "Write vexlab.yaml by hand: docs/manifest.md.",
      );
    if (this.places.every(({ sysroot }) => sysroot === undefined))
      missing.push(
        "no image is in the cache yet: what depends on a kernel's configuration is not known",
      );
    const { filesystem, parameters } = await this.sources();
    const tools = await this.tools();
    const { suites, others } = await surveySuites(tree, files);
    for (const { command } of suites) found.push(`suite: ${command.join(" ")}`);
    if (others.length > 0)
      missing.push(`programs among the tests print no KTAP: ${listed(others)}`);
    return {
      ...module,
      name: asName(module.name) || asName(basename(tree)) || "module",
      ...(filesystem !== undefined && { filesystem }),
      ...{ parameters, tools, suites, found, missing },
    };
  }

  private async dkms(): Promise<Module | undefined> {
    const confs = this.files.filter((file) =>
      /(^|\/)dkms\.conf$|(^|\/)debian\/[^/]+\.dkms$/.test(file),
    );
    const [file] = confs;
    if (file === undefined) {
      for (const template of named(this.files, "dkms.conf.in", "dkms.conf.in.in"))
        this.missing.push(`${template} is a template, which some build makes a dkms.conf of`);
      return undefined;
    }
    if (confs.length > 1) this.missing.push(`not looked at: ${listed(confs.slice(1))}`);
    // debian/NAME.dkms becomes the dkms.conf of the folder above it.
    const ofDebian = file.endsWith(".dkms");
    const folder = ofDebian ? dirname(dirname(file)) : dirname(file);
    const conf = ofDebian ? `debian/${basename(file)}` : basename(file);
    const survey = await surveyDkms(this.tree, folder, conf, this.places);
    this.missing.push(...survey.problems.map((problem) => `${file} can't be read for ${problem}`));
    if (survey.byKernel.size === 0) return undefined;
    this.found.push(...dkmsFindings(survey));
    await this.dkmsGaps(survey);
    const modules = [...new Set([...survey.byKernel.values()].flatMap((each) => each.modules))];
    const name = [...survey.byKernel.values()][0]?.name ?? "";
    return { name, folder, dkms: conf, make: [], modules };
  }

  private async dkmsGaps({ byKernel, folder }: DkmsSurvey): Promise<void> {
    const all = [...byKernel.values()];
    const needs = [...new Set(all.flatMap((each) => each.needs))];
    if (needs.length > 0)
      this.missing.push(
        `it is built after other DKMS packages, which are not there: ${listed(needs)}`,
      );
    const patches = [...new Set(all.flatMap((each) => each.allPatches))];
    const absent = patches.filter((patch) => !this.files.includes(join(folder, "patches", patch)));
    if (absent.length > 0) this.missing.push(`patches that are not there: ${listed(absent)}`);
    for (const script of new Set(all.flatMap((each) => each.scripts))) {
      const file = join(folder, script.split(/\s+/)[0] ?? "");
      if (!this.files.includes(file) || !(await isProgram(this.tree, file)))
        this.missing.push(`${file}, which runs around the build, is no program`);
    }
  }

  private async kbuild(): Promise<Module | undefined> {
    const place = this.places.at(-1);
    if (place === undefined) return undefined;
    for (const file of named(this.files, "Kbuild", "Makefile")) {
      const text = await textOf(this.tree, file);
      if (!/\bobj-(m\b|\$[({])/.test(text)) continue;
      const survey = await surveyKbuild(this.tree, dirname(file), place);
      this.missing.push(...survey.problems.map((problem) => `make can't read ${problem}`));
      const module = kbuildModule(survey, text);
      if (module === undefined) continue;
      this.found.push(`${file}: ${listed(module.modules)}`);
      if (module.make.length > 0) this.found.push(`built with ${module.make.join(" ")}`);
      else if (survey.unset.length > 0)
        this.missing.push(`not built, for want of a CONFIG_ variable: ${listed(survey.unset)}`);
      return module;
    }
    return undefined;
  }

  /** What the C sources say: the file system that they register, and the modules' parameters. */
  private async sources(): Promise<{ filesystem?: string; parameters: string[] }> {
    const parameters = new Set<string>();
    let filesystem: string | undefined;
    for (const file of this.files.filter((each) => each.endsWith(".c"))) {
      const text = await textOf(this.tree, file);
      filesystem ??= /\bMODULE_ALIAS_FS\(\s*"([\w.-]+)"/.exec(text)?.[1];
      for (const [, name] of text.matchAll(/^\s*module_param(?:_\w+)?\(\s*(\w+)/gm))
        if (name !== undefined) parameters.add(name);
    }
    if (filesystem !== undefined) {
      this.found.push(`file system type ${filesystem}`);
      this.missing.push(
        `how to make a file system ${filesystem} on the test disk (filesystem.mkfs)`,
      );
    }
    return { ...(filesystem !== undefined && { filesystem }), parameters: [...parameters] };
  }

  private async tools(): Promise<CargoSurvey[]> {
    const place = this.places.at(-1);
    const tools: CargoSurvey[] = [];
    for (const file of named(this.files, "Cargo.toml")) {
      const folder = dirname(file);
      // Members of a workspace are its own.
      if (place === undefined || tools.some((tool) => isBelow(folder, tool.folder))) continue;
      const survey = await surveyCargo(this.tree, folder, place);
      this.missing.push(...survey.problems);
      if (survey.programs.length === 0) continue;
      tools.push(survey);
      this.found.push(`cargo, ${folder}: ${listed(survey.programs)}`);
    }
    return tools;
  }
}

/** The module of a Kbuild folder; of one whose modules want CONFIG_ variables those, switched on. */
function kbuildModule(survey: KbuildSurvey, text: string): Module | undefined {
  const { folder, modules, unset } = survey;
  const module = (files: readonly string[], make: readonly string[]): Module => ({
    name: basename(files[0] ?? "", ".ko"),
    ...{ folder, make, modules: files },
  });
  if (modules.length > 0) return module(modules, []);
  if (unset.length === 0) return undefined;
  const variables = [...text.matchAll(/\bobj-\$[({](CONFIG_\w+)[)}]/g)].map(
    ([, name]) => name ?? "",
  );
  return module(
    unset,
    [...new Set(variables)].map((name) => `${name}=m`),
  );
}

const isBelow = (folder: string, top: string): boolean =>
  top === "." || folder === top || folder.startsWith(`${top}/`);
