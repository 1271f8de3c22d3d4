/** `vexlab gdb [stack]`: gdb on the kernel of a stack's guest, with the symbols of the module. */
import { access } from "node:fs/promises";
import { resolve } from "node:path";
import type { Command } from "commander";
import { execa } from "execa";
import { resultsFolder } from "../lab/build/results.ts";
import { ExitCode, LabError } from "../lab/config/errors.ts";
import { places } from "../lab/config/places.ts";
import { gdbArguments } from "../lab/debug/gdbArguments.ts";
import { kernelSymbols, loadedModules } from "../lab/debug/loadedModule.ts";
import { GuestSession } from "../lab/guest/session.ts";
import { readDefinition } from "../lab/hypervisor/forkXml.ts";
import { virsh } from "../lab/hypervisor/virsh.ts";
import { builtImage } from "../lab/image/image.ts";
import { imageOf } from "../lab/warm/stackGuest.ts";
import { knownGuest } from "./knownGuest.ts";

const connectMs = 30_000;

interface Flags {
  readonly command: readonly string[];
  readonly execute: readonly string[];
  readonly batch?: true;
}

export function register(program: Command): void {
  const also = (value: string, before: readonly string[]): string[] => [...before, value];
  program
    .command("gdb")
    .argument("[stack]", "a stack with vexlab:gdbPort", "dev")
    .description("debug the guest's kernel and the loaded module with gdb")
    .option("-x, --command <file>", "gdb commands of a file; repeatable", also, [])
    .option("--execute <command>", "a gdb command, after the files; repeatable", also, [])
    .option("--batch", "end after the commands")
    .action(async (stack: string, { command, execute, batch }: Flags) => {
      const files = command.map((file) => resolve(file));
      for (const file of files)
        await access(file).catch(() => {
          throw new LabError(`--command: there is no file ${file}`, ExitCode.usage);
        });
      const options = { batch: batch ?? false, files, commands: execute };
      // Ctrl-C is gdb's: it stops the guest.
      const ignore = (): void => undefined;
      process.on("SIGINT", ignore);
      try {
        const argv = gdbArguments(await sessionOf(stack), options);
        const { exitCode } = await execa("bwrap", argv, { stdio: "inherit", reject: false });
        process.exitCode = exitCode ?? ExitCode.infrastructureFailed;
      } finally {
        process.off("SIGINT", ignore);
      }
    });
}

async function sessionOf(stack: string): Promise<Parameters<typeof gdbArguments>[0]> {
  const place = await knownGuest(stack);
  const { libvirtUri, domain, stackFolder } = place;
  const definition = readDefinition(await virsh(libvirtUri, ["dumpxml", "--inactive", domain]));
  const { gdbPort } = definition;
  if (gdbPort === undefined)
    throw new LabError(
      `the guest of stack ${stack} has no port for gdb`,
      ExitCode.usage,
      `Set vexlab:gdbPort (1234, say) in stacks/Pulumi.${stack}.yaml, then: npm run up -- ${stack}`,
    );
  const state = (await virsh(libvirtUri, ["domstate", domain])).trim();
  if (state !== "running")
    throw new LabError(
      `the guest of stack ${stack} is not up: libvirt says "${state}"`,
      ExitCode.usage,
      `Start it: npm run up -- ${stack}`,
    );
  const { sysroot } = builtImage(await imageOf(place));
  const guest = await GuestSession.connect(place.address, { deadlineMs: connectMs });
  try {
    const loaded = await loadedModules(guest, resultsFolder(stack, places()));
    if (loaded === undefined)
      throw new LabError(
        `no module that was built for stack ${stack} is loaded in its guest`,
        ExitCode.usage,
        "Load one of its last builds: docs/debugging.md shows how. Another build has other lines.",
      );
    const kernel = await kernelSymbols(guest, stackFolder);
    return { sysroot, kernel, gdbPort, ...loaded };
  } finally {
    guest.close();
  }
}
