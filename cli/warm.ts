/** `vexlab warm list|prune`: the warm images in the user's cache. */
import type { Command } from "commander";
import { terminalProgress } from "../lab/report/progress.ts";
import { listWarmImages, pruneWarmImages } from "../lab/warm/prune.ts";

export function register(program: Command): void {
  const warm = program.command("warm").description("the saved guests in the user's cache");
  warm
    .command("list")
    .description("the warm images in the cache, least recently used first, as JSON")
    .action(async () => print(await listWarmImages()));
  warm
    .command("prune")
    .description("remove warm images that no stack uses and that were not used for a day")
    .option("--all", "remove every warm image that no stack uses")
    .action(async ({ all }: { all?: boolean }) => {
      print(await pruneWarmImages(terminalProgress(), { which: all === true ? "all" : "old" }));
    });
}

function print(result: unknown): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
