/** `vexlab daemon start|stop`: the private libvirt session daemon of this checkout. */
import { type Command, Option } from "commander";
import * as z from "zod";
import { verbInput } from "../lab/config/verbInput.ts";
import { connectionUri, usesPrivateDaemon } from "../lab/hypervisor/connection.ts";
import { startDaemon } from "../lab/hypervisor/daemon.ts";
import { stopUnlessNeeded } from "../lab/hypervisor/daemonUse.ts";

/** Input of both verbs. */
export const daemonInput = z.strictObject({
  libvirtUri: z.string().default("qemu:///session"),
});

interface Flags {
  readonly input?: string;
  readonly libvirtUri?: string;
}

export function register(program: Command): void {
  const daemon = program.command("daemon").description("the libvirt daemon of this checkout");
  const verb = (name: string, description: string): Command =>
    daemon
      .command(name)
      .description(description)
      .option("--libvirt-uri <uri>", "as in vexlab:libvirtUri; others than the session's are left")
      .addOption(
        new Option("--input <json>", "the same as one JSON object").env("VEXLAB_INPUT").hideHelp(),
      );

  verb("start", "start it unless it runs").action(async ({ input, ...flags }: Flags) => {
    const { libvirtUri } = verbInput("daemon start", daemonInput, input, flags);
    if (usesPrivateDaemon(libvirtUri)) await startDaemon();
    print({ uri: connectionUri(libvirtUri) });
  });
  verb("stop", "stop it unless a stack needs it").action(async ({ input, ...flags }: Flags) => {
    const { libvirtUri } = verbInput("daemon stop", daemonInput, input, flags);
    print(usesPrivateDaemon(libvirtUri) ? await stopUnlessNeeded() : { stopped: false });
  });
}

function print(result: unknown): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
