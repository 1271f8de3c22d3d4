/** The files that a command is asked to hand over, as Pulumi's assets and archives. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

import { pathFilter } from "./pathPattern.ts";
import {
  archiveSignature,
  assetSignature,
  equal,
  isObject,
  signatureKey,
  type Properties,
  type PropertyValue,
} from "./propertyValue.ts";

/**
 * The files below the folder that the patterns select, as file assets by their path relative to it.
 * Folders are never selected; a link counts as the file it points to.
 */
export async function collectAssets(
  folder: string,
  patterns: readonly string[],
): Promise<Properties> {
  const selects = pathFilter(patterns);
  const assets: Properties = {};
  for await (const path of filesBelow(folder)) {
    if (selects(path)) assets[path] = await fileAsset(join(folder, path));
  }
  return assets;
}

/** One archive of the files that the patterns select. */
export async function collectArchive(
  folder: string,
  patterns: readonly string[],
): Promise<PropertyValue> {
  const assets = await collectAssets(folder, patterns);
  // By contents, not by place: the same files elsewhere are the same archive.
  const contents = Object.entries(assets).map(([path, asset]) => [
    path,
    isObject(asset) && asset["hash"],
  ]);
  const hash = createHash("sha256").update(JSON.stringify(contents)).digest("hex");
  return { [signatureKey]: archiveSignature, hash, assets };
}

/**
 * The state with its assets and archive as they were collected. The engine strips those of a state
 * to their hashes before it asks a provider to read it (3.187.0 puts back only those of inputs),
 * and a program can't take such an asset. What can't be found unchanged stays stripped.
 */
export async function restoreFiles(
  state: Properties,
  folder: string,
  archivePatterns: readonly string[] | undefined,
): Promise<Properties> {
  const restored = { ...state };
  const assets = state["assets"];
  if (isObject(assets)) {
    restored["assets"] = Object.fromEntries(
      Object.entries(assets).map(([path, asset]) => [
        path,
        isStripped(asset) ? { ...asset, path: join(folder, path) } : asset,
      ]),
    );
  }
  const archive = state["archive"];
  if (isStripped(archive) && archivePatterns !== undefined) {
    const found = await collectArchive(folder, archivePatterns).catch(() => archive);
    if (equal(found, archive)) restored["archive"] = found;
  }
  return restored;
}

function isStripped(value: PropertyValue | undefined): value is Properties {
  if (!isObject(value)) return false;
  const signature = value[signatureKey];
  return (
    (signature === assetSignature || signature === archiveSignature) &&
    !["path", "text", "uri", "assets"].some((name) => name in value)
  );
}

async function* filesBelow(folder: string, prefix = ""): AsyncGenerator<string> {
  const entries = await readdir(join(folder, prefix), { withFileTypes: true });
  entries.sort((left, right) => (left.name < right.name ? -1 : 1));
  for (const entry of entries) {
    const path = prefix === "" ? entry.name : `${prefix}/${entry.name}`;
    if (entry.isDirectory()) yield* filesBelow(folder, path);
    else yield path;
  }
}

async function fileAsset(file: string): Promise<PropertyValue> {
  // Reading a pipe or a device would never end.
  if (!(await stat(file)).isFile()) throw new Error(`asset ${file} is not a regular file`);
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return { [signatureKey]: assetSignature, hash: hash.digest("hex"), path: file };
}
