/** Reading `vexlab.yaml`: every fault at once, each with its place in the file. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { LineCounter, isNode, parseDocument, type Document } from "yaml";
import { allowedAt } from "./allowed.ts";
import { ConfigurationError, type Fault } from "./errors.ts";
import { faultsOf } from "./faults.ts";
import { manifestSchema, type Manifest, type Tool } from "./manifestSchema.ts";

export { manifestJsonSchema, type Manifest, type Suite, type Tool } from "./manifestSchema.ts";

export const manifestName = "vexlab.yaml";

// A manifest is a page or two; anything near this is not one.
const largestManifest = 256 * 1024;

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
  if (text.length > largestManifest) {
    throw new ConfigurationError(where, [
      { key: manifestName, problem: "is too long", allowed: `${largestManifest} characters` },
    ]);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const unreadable = [...document.errors, ...document.warnings].map((error): Fault => {
    const { line, col } = lines.linePos(error.pos[0]);
    return { key: `${line}:${col}`, problem: error.message, allowed: "valid YAML" };
  });
  if (unreadable.length > 0) throw new ConfigurationError(where, unreadable);

  const value = plain(document, where);
  const result = manifestSchema.safeParse(value);
  if (result.success) return result.data;
  throw new ConfigurationError(
    where,
    faultsOf(
      result.error.issues,
      value,
      (path) => allowedAt(manifestSchema, path),
      (path) => lineOf(document, path, lines),
    ),
  );
}

/** The manifest with those of its tools that these suites need; all of them when undefined. */
export function withToolsFor(manifest: Manifest, suites: readonly string[] | undefined): Manifest {
  if (suites === undefined) return manifest;
  const isNeeded = ({ suites: users }: Tool): boolean =>
    users === undefined || users.some((user) => suites.includes(user));
  return { ...manifest, tools: manifest.tools.filter(isNeeded) };
}

function plain(document: Document, where: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    // Too many aliases, or an alias of nothing.
    throw new ConfigurationError(where, [
      { key: manifestName, problem: (error as Error).message, allowed: "valid YAML" },
    ]);
  }
}

function lineOf(
  document: Document,
  path: readonly PropertyKey[],
  lines: LineCounter,
): string | undefined {
  const node = document.getIn(path, true);
  const start = isNode(node) ? node.range?.[0] : undefined;
  return start === undefined ? undefined : `line ${lines.linePos(start).line}`;
}
