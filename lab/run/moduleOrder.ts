/**
 * Which modules a run loads and in which order: those that others need come first, and what none of the
 * built ones provides is the kernel's. Pure.
 */
import { basename, join, relative } from "node:path/posix";
import type { Artefact } from "../build/result.ts";
import { ConfigurationError } from "../config/errors.ts";
import { manifestName, type Manifest } from "../config/manifest.ts";

export interface ModuleOrder {
  /** Modules of the kernel itself. */
  readonly requires: readonly string[];
  /** The .ko files to load, relative to the module's folder, in the order of loading. */
  readonly files: readonly string[];
}

/**
 * The order for a build: the manifest's, with dependencies (modinfo's `depends`) before what needs them.
 * @throws ConfigurationError for parameters of modules that a dkms.conf does not make for this kernel.
 */
export function moduleOrder(
  { load, module }: Manifest,
  { artefacts, kernelRelease }: { readonly artefacts: readonly Artefact[]; kernelRelease: string },
): ModuleOrder {
  const built = new Map(
    artefacts
      .filter(({ path }) => path.endsWith(".ko"))
      .map(({ path, depends = [] }) => [relative(module.folder, path), depends] as const),
  );
  const byName = new Map([...built.keys()].map((file) => [moduleName(file), file]));
  const wanted = load.modules.length > 0 ? load.modules : [...built.keys()];
  const files = new Set<string>();
  const kernels = new Set(load.requires);
  const visiting = new Set<string>();
  const visit = (file: string): void => {
    // Modules can't depend on each other in a circle; a damaged file may say so.
    if (files.has(file) || visiting.has(file)) return;
    visiting.add(file);
    for (const name of built.get(file) ?? []) {
      const own = byName.get(moduleName(name));
      if (own === undefined) kernels.add(name);
      else visit(own);
    }
    files.add(file);
  };
  wanted.forEach(visit);
  const unknown = Object.keys(load.parameters).filter((file) => !files.has(file));
  if (unknown.length > 0)
    throw new ConfigurationError(
      manifestName,
      unknown.map((file) => ({
        key: `load.parameters.${file}`,
        problem: `no such module is loaded on ${kernelRelease}`,
        allowed: [...files].join(", "),
      })),
    );
  return { requires: [...kernels], files: [...files] };
}

/** The kernel's name of a module file: its base name, with _ for - (kbuild's KBUILD_MODNAME). */
export function moduleName(file: string): string {
  return basename(file, ".ko").replaceAll("-", "_");
}

/** insmod's words for a file: its path and its parameters. */
export function insmodWords(
  folder: string,
  file: string,
  parameters: Readonly<Record<string, string>> = {},
): { readonly file: string; readonly parameters: readonly string[] } {
  return { file: join(folder, file), parameters: Object.entries(parameters).map(parameterWord) };
}

// insmod joins its words by spaces; the kernel's parser (lib/cmdline.c) takes quotes around a value.
function parameterWord([name, value]: readonly [string, string]): string {
  return /\s/.test(value) || value === "" ? `${name}="${value}"` : `${name}=${value}`;
}
