/** The programs that a tree's cargo package or workspace builds; cargo itself reads it. */
import { readFile } from "node:fs/promises";
import { join, relative } from "node:path/posix";
import * as z from "zod";
import { runOnTree, treeMount, type ReadingPlace } from "./treeSandbox.ts";

export interface CargoSurvey {
  /** Folder with Cargo.toml, relative to the tree. */
  readonly folder: string;
  readonly name: string;
  /** The programs, relative to the folder. */
  readonly programs: readonly string[];
  /** What will go wrong or could not be read. */
  readonly problems: readonly string[];
}

// https://doc.rust-lang.org/cargo/commands/cargo-metadata.html
const metadata = z.object({
  target_directory: z.string(),
  packages: z.array(
    z.object({
      name: z.string(),
      targets: z.array(z.object({ name: z.string(), kind: z.array(z.string()) })),
    }),
  ),
});

const command = ["cargo", "metadata", "--no-deps", "--offline", "--format-version", "1"];

/** Reads the Cargo.toml of a folder. */
export async function surveyCargo(
  tree: string,
  folder: string,
  place: ReadingPlace,
): Promise<CargoSurvey> {
  const { output, problem } = await runOnTree(tree, place, folder, command);
  if (output === undefined)
    return { folder, name: "", programs: [], problems: [`${folder}/Cargo.toml: ${problem ?? ""}`] };
  const { packages, target_directory } = metadata.parse(JSON.parse(output));
  const target = relative(join(treeMount, folder), target_directory);
  const programs = packages.flatMap(({ targets }) =>
    targets
      .filter(({ kind }) => kind.includes("bin"))
      .map(({ name }) => join(target, "release", name)),
  );
  const lock = await readFile(join(tree, folder, "Cargo.lock"), "utf8").catch(() => "");
  const vendored = await readFile(join(tree, folder, ".cargo", "config.toml"), "utf8").catch(
    () => "",
  );
  const wantsNetwork = lock.includes('source = "registry+') && !vendored.includes("vendored");
  const problems = wantsNetwork
    ? [`${folder}/Cargo.lock names crates of a registry: builds have no network, vendor them`]
    : [];
  return { folder, name: packages[0]?.name ?? "tools", programs, problems };
}
