/**
 * The `vexlab` command. A verb is a file of this folder, `<noun><Verb>.ts` or `<verb>.ts`, that
 * exports `register(program)`; only the files of the verb that was asked for are loaded, so that a
 * verb starts fast.
 */
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { onExit } from "signal-exit";
import { ExitCode } from "../lab/config/errors.ts";
import { printError } from "./printError.ts";
import { filesFor, firstWord, type VerbFile } from "./verbs.ts";

/** The version in package.json. */
function version(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/** The program with the verbs of these files. */
async function build(files: readonly VerbFile[]): Promise<Command> {
  const program = new Command("vexlab")
    .description("Kernel-test guests as code: provision, build, load, test, judge.")
    .version(version())
    .showHelpAfterError("(vexlab --help lists the verbs)")
    .exitOverride();
  for (const load of files) (await load()).register(program);
  // What a parent command was told is not inherited by commands that were made with `new`.
  for (const command of program.commands) inheritExit(command);
  return program;
}

function inheritExit(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) inheritExit(child);
}

/** Runs the command line; the code to exit with. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    const onlyVersion = args.length === 1 && ["-V", "--version"].includes(args[0] ?? "");
    const files = onlyVersion ? [] : filesFor(firstWord(args));
    const program = await build(files.map(([, load]) => load));
    if (args.length === 0) {
      program.outputHelp();
      return ExitCode.passed;
    }
    await program.parseAsync(args, { from: "user" });
    return Number(process.exitCode ?? ExitCode.passed);
  } catch (error) {
    return printError(error);
  }
}

// Node's own exit code for these is 1, which would mean that a test failed.
for (const event of ["uncaughtException", "unhandledRejection"] as const)
  process.on(event, (error: unknown) => process.exit(printError(error)));

// A verb that has something to put in order first listens by itself and then ends with 130, too.
// signal-exit, by which execa ends its children, listens as well: loaded first, it is told apart.
onExit(() => undefined);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  const alone = process.listenerCount(signal) + 1;
  process.on(signal, () => {
    if (process.listenerCount(signal) === alone) process.exit(ExitCode.cancelled);
  });
}

const code = await main(process.argv.slice(2));
// Both streams may be pipes, which are written asynchronously: end when they are empty.
await Promise.all(
  [process.stdout, process.stderr].map(
    (stream) => new Promise<void>((resolve) => stream.write("", () => resolve())),
  ),
);
process.exit(code);
