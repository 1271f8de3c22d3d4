/**
 * The modules that a Kbuild file or Makefile builds: make itself reads it, as Kbuild would
 * (Documentation/kbuild/makefiles.rst), but makes nothing.
 */
import { join, normalize } from "node:path/posix";
import { runOnTree, treeMount, type ReadingPlace } from "./treeSandbox.ts";

export interface KbuildSurvey {
  /** Folder with the Kbuild file, relative to the tree. */
  readonly folder: string;
  /** The .ko files, relative to the folder. */
  readonly modules: readonly string[];
  /** Modules that are built only when a CONFIG_ variable is set, and is not. */
  readonly unset: readonly string[];
  readonly problems: readonly string[];
}

// Kbuild sets these before it reads a module's file. The kernel's configuration is there in an image.
const wrapper = (directory: string, kernelRelease: string): string => `
obj := ${directory}
src := ${directory}
srctree := /lib/modules/${kernelRelease}/build
KERNELRELEASE := ${kernelRelease}
KBUILD_EXTMOD := ${treeMount}
-include $(srctree)/include/config/auto.conf
obj-m :=
obj-y :=
include $(firstword $(wildcard $(src)/Kbuild $(src)/Makefile))
$(info vexlab-m $(obj-m))
$(info vexlab-y $(filter %/,$(obj-y)))
$(info vexlab- $(obj-) $(obj-n))
.DEFAULT_GOAL := vexlab-nothing
vexlab-nothing: ; @:
`;

const deepest = 4;

/** Reads the Kbuild file of a folder and of those that it names. */
export async function surveyKbuild(
  tree: string,
  folder: string,
  place: ReadingPlace,
): Promise<KbuildSurvey> {
  const modules = new Set<string>();
  const unset = new Set<string>();
  const problems: string[] = [];
  const visit = async (inside: string, depth: number): Promise<void> => {
    const directory = normalize(join(treeMount, folder, inside));
    const argv = ["make", "-rRs", "--no-print-directory", "-f", "-"];
    const text = wrapper(directory, place.kernelRelease);
    const { output, problem } = await runOnTree(tree, place, folder, argv, text);
    if (output === undefined) {
      problems.push(`${join(folder, inside)}: ${problem ?? "no output"}`);
      return;
    }
    const { objects, disabled, folders } = parseObjects(output);
    for (const name of objects) modules.add(moduleFile(inside, name));
    for (const name of disabled) unset.add(moduleFile(inside, name));
    for (const name of folders) {
      const next = normalize(join(inside, name));
      if (depth < deepest && !next.startsWith("..")) await visit(next, depth + 1);
    }
  };
  await visit("", 0);
  for (const file of modules) unset.delete(file);
  return { folder, modules: [...modules], unset: [...unset], problems };
}

const moduleFile = (folder: string, object: string): string =>
  normalize(join(folder, object.replace(/\.o$/, ".ko")));

/** What the wrapper printed: objects that become modules, those that are switched off, folders. */
export function parseObjects(output: string): {
  readonly objects: readonly string[];
  readonly disabled: readonly string[];
  readonly folders: readonly string[];
} {
  const words = (kind: string): string[] => {
    const line = output.split("\n").find((each) => each.startsWith(`vexlab-${kind} `)) ?? "";
    return line
      .split(/\s+/)
      .slice(1)
      .filter((word) => word !== "");
  };
  const objects = words("m");
  return {
    objects: objects.filter((name) => name.endsWith(".o")),
    disabled: words("").filter((name) => name.endsWith(".o")),
    folders: [...objects, ...words("y")].filter((name) => name.endsWith("/")),
  };
}
