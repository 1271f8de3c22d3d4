/** `vexlab init [folder]`: a manifest for an existing tree, from what can be found out about it. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import type { Command } from "commander";
import { adopt, type Adoption } from "../lab/survey/adopt.ts";
import { layOutDebianSource } from "../lab/survey/debianPackage.ts";
import { terminalProgress } from "../lab/report/progress.ts";

interface Flags {
  readonly debianPackage?: string;
  readonly force?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command("init")
    .argument(
      "[folder]",
      "the module's source folder; with --debian-package one named after it by default",
    )
    .description("write vexlab.yaml for an existing kernel module's tree (Kbuild or DKMS)")
    .option(
      "--debian-package <name>",
      "lay out the sources of a -dkms package of apt's archive there first; also NAME=VERSION, NAME/RELEASE of Debian",
    )
    .option("--force", "write a new manifest though there is one; the old one is kept beside it")
    .option("--dry-run", "write nothing; print the manifest")
    .option("--json", "print what was found as JSON")
    .action(run);
}

async function run(named: string | undefined, flags: Flags): Promise<void> {
  const { debianPackage, force = false, dryRun = false, json = false } = flags;
  const folder = resolve(named ?? folderOf(debianPackage));
  const scratch = dryRun && debianPackage !== undefined;
  // A dry run looks at a package somewhere else.
  const work = scratch ? await mkdtemp(join(tmpdir(), "vexlab-init-")) : undefined;
  const source = work === undefined ? folder : join(work, basename(folder));
  try {
    if (debianPackage !== undefined) await layOut(debianPackage, source, folder);
    print(await adopt(source, { force, dryRun }), folder, json);
  } finally {
    if (work !== undefined) await rm(work, { recursive: true, force: true });
  }
}

async function layOut(packageName: string, source: string, folder: string): Promise<void> {
  const step = terminalProgress().step(`sources of ${packageName}`);
  try {
    const { version, files } = await layOutDebianSource(packageName, source);
    step.done(`${version}, ${files.length} files in ${folder}`);
  } catch (error) {
    step.failed();
    throw error;
  }
}

/** v4l2loopback-dkms=0.12.7-2 → v4l2loopback */
function folderOf(packageName: string | undefined): string {
  return packageName?.replace(/[=/].*$/, "").replace(/-dkms$/, "") ?? ".";
}

function print(adoption: Adoption, folder: string, json: boolean): void {
  const { survey, manifest, written, backup } = adoption;
  if (json) {
    process.stdout.write(`${JSON.stringify({ ...adoption, source: folder }, null, 2)}\n`);
    return;
  }
  const say = (text: string): unknown => process.stderr.write(`${text}\n`);
  say(`${folder}: ${survey.name}`);
  for (const line of survey.found) say(`  found: ${line}`);
  for (const line of survey.missing) say(`  not known: ${line}`);
  if (written.length === 0) {
    process.stdout.write(manifest);
    return;
  }
  if (backup !== undefined) say(`  the old vexlab.yaml is ${backup} now`);
  for (const file of written) say(`  written: ${join(folder, file)}`);
  say(`Test it: vexlab test --source ${folder}, or name it in a stack (vexlab:source).`);
}
