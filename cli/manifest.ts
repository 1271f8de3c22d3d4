/** `vexlab manifest --schema` and `vexlab manifest check`: the manifest of a module under test. */
import { resolve } from "node:path";
import type { Command } from "commander";
import { listSources } from "../lab/build/sources.ts";
import { manifestJsonSchema, readManifest } from "../lab/config/manifest.ts";

export function register(program: Command): void {
  const manifest = program
    .command("manifest")
    .description("the manifest of a module under test, vexlab.yaml")
    .option("--schema", "print its JSON schema")
    .action((flags: { schema?: boolean }) => {
      if (flags.schema === true) printSchema();
      else manifest.help({ error: true });
    });
  manifest.command("schema").description("the same as --schema").action(printSchema);
  manifest
    .command("check")
    .description("check a folder's manifest and sources; print the manifest with its defaults")
    .argument("[folder]", "the source folder", ".")
    .action(async (folder: string) => {
      const source = resolve(folder);
      const checked = await readManifest(source);
      const sources = await listSources(source, checked);
      process.stderr.write(`${checked.name}: the manifest is right, ${sources.length} sources\n`);
      process.stdout.write(`${JSON.stringify(checked, null, 2)}\n`);
    });
}

function printSchema(): void {
  process.stdout.write(`${JSON.stringify(manifestJsonSchema(), null, 2)}\n`);
}
