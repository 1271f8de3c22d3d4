/** Reading `vexlab.yaml`: every fault at once, each with its place in the file. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ConfigurationError } from "./errors.ts";
import { manifestSchema, type Manifest, type Tool } from "./manifestSchema.ts";
import { parseYamlText } from "./yamlText.ts";

export { manifestJsonSchema, type Manifest, type Suite, type Tool } from "./manifestSchema.ts";

export const manifestName = "vexlab.yaml";

/**
 * The manifest of a source folder.
 * @throws ConfigurationError naming every fault: no file, not YAML (line:column), wrong keys.
 */
export async function readManifest(sourceFolder: string): Promise<Manifest> {
  const file = join(sourceFolder, manifestName);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    const problem =
      (error as NodeJS.ErrnoException).code === "ENOENT"
        ? "there is no such file"
        : `cannot be read (${(error as Error).message})`;
    throw new ConfigurationError(sourceFolder, [
      { key: manifestName, problem, allowed: "a folder with a manifest, see docs/manifest.md" },
    ]);
  }
  return parseManifest(text, file);
}

/**
 * The manifest in a text.
 * @param where the file's name for messages.
 * @throws ConfigurationError naming every fault.
 */
export function parseManifest(text: string, where: string = manifestName): Manifest {
  return parseYamlText(text, manifestSchema, manifestName, where);
}

/** The manifest with those of its tools that these suites need; all of them when undefined. */
export function withToolsFor(manifest: Manifest, suites: readonly string[] | undefined): Manifest {
  if (suites === undefined) return manifest;
  const isNeeded = ({ suites: users }: Tool): boolean =>
    users === undefined || users.some((user) => suites.includes(user));
  return { ...manifest, tools: manifest.tools.filter(isNeeded) };
}
