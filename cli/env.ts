/** `vexlab env`: shell lines that make plain `pulumi` vexlab's: eval "$(scripts/vexlab env)". */
import type { Command } from "commander";

export function register(program: Command): void {
  program
    .command("env")
    .description('print shell exports for plain `pulumi`:  eval "$(scripts/vexlab env)"')
    .action(async () => {
      const { default: shell } = await import("shell-quote");
      const { places } = await import("../lab/config/places.ts");
      const { terminalProgress } = await import("../lab/report/progress.ts");
      const { bootstrap } = await import("../toolchain/bootstrap.ts");
      const { engine, toolchain } = await bootstrap(terminalProgress(), places());
      const variables = Object.entries(engine.variables).filter(([name]) => name !== "PATH");
      const lines = [
        `export PATH=${shell.quote([toolchain.bin])}:"$PATH"`,
        ...variables.map(([name, value]) => `export ${name}=${shell.quote([value])}`),
        `unset ${engine.removed.join(" ")}`,
      ];
      process.stdout.write(`${lines.join("\n")}\n`);
    });
}
