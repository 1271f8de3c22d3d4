/** `vexlab setup`: what every other verb sees to first, by itself. */
import type { Command } from "commander";

export function register(program: Command): void {
  program
    .command("setup")
    .description("prepare this host and checkout, as `up` does first")
    .option("--lint", "also what scripts/lint needs")
    .action(async (options: { lint?: boolean }) => {
      const { places } = await import("../lab/config/places.ts");
      const { terminalProgress } = await import("../lab/report/progress.ts");
      const { bootstrap } = await import("../toolchain/bootstrap.ts");
      const { ensureSystemPackages, lintPackages } = await import("../toolchain/systemPackages.ts");
      const progress = terminalProgress();
      if (options.lint) await ensureSystemPackages(progress, Object.keys(lintPackages));
      const { toolchain } = await bootstrap(progress, places());
      for (const { name, version, source, from } of toolchain.tools)
        progress.line(`${name} ${version}: ${source}: ${from}`);
    });
}
