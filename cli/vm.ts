/** `vexlab vm wait|start|stop`: the guest of a stack. */
import { join } from "node:path";
import { Option, type Command } from "commander";
import * as z from "zod";
import { allow } from "../lab/config/allowed.ts";
import { ExitCode, LabError } from "../lab/config/errors.ts";
import { domainNameOf, stackFolder } from "../lab/config/places.ts";
import { stackName } from "../lab/config/stackName.ts";
import { verbInput } from "../lab/config/verbInput.ts";
import { cancellable } from "../lab/config/cancellation.ts";
import { startDomain, stopDomain } from "../lab/guest/power.ts";
import { readGuestRecord } from "../lab/guest/record.ts";
import { GuestSession } from "../lab/guest/session.ts";
import { waitForGuest } from "../lab/guest/wait.ts";
import { connectionUri } from "../lab/hypervisor/connection.ts";
import { jsonText } from "../lab/report/json.ts";
import { terminalProgress } from "../lab/report/progress.ts";
import { removeSiblings } from "../lab/warm/sibling.ts";
import { removeTemplates } from "../lab/warm/template.ts";
import { bootPatience, warmStart } from "../lab/warm/stackGuest.ts";
import { writeLastVerdict } from "../lab/run/lastVerdict.ts";
import { exitCodeOf } from "../lab/run/verdict.ts";

const seconds = () => allow("seconds, from 1 to 86400", z.coerce.number().min(1).max(86_400));
const text = (words: string) => allow(words, z.string().min(1, "is empty"));

const domainInput = {
  stack: stackName(),
  domain: text("a domain's UUID or name"),
  libvirtUri: text("a libvirt URI, such as qemu:///session"),
};

/** Input of `vm wait`. */
export const vmWaitInput = z.strictObject({
  ...domainInput,
  sshPort: allow("a port, from 1 to 65535", z.coerce.number().int().min(1).max(65_535)),
  user: text("a user's name").default("vexfs"),
  consoleFile: text("a file").optional(),
  privateKeyFile: text("a file").optional(),
  knownHostsFile: text("a file").optional(),
  deadlineSeconds: seconds().default(600),
  warm: allow("auto or off", z.enum(["auto", "off"])).default("off"),
});

/** Input of `vm remove-forks`: that of `vm wait`, of which it uses the stack and libvirt's URI. */
export const vmRemoveForksInput = z.looseObject({
  stack: stackName(),
  libvirtUri: domainInput.libvirtUri,
});

/** Input of `vm start` and `vm stop`. */
export const vmPowerInput = z.strictObject({
  ...domainInput,
  deadlineSeconds: seconds().default(60),
});

interface Flags {
  readonly input?: string;
  readonly stack?: string;
  readonly [name: string]: string | undefined;
}

export function register(program: Command): void {
  const vm = program.command("vm").description("the guest of a stack");
  const verb = (name: string, description: string): Command =>
    vm
      .command(name)
      .description(description)
      .option("--stack <name>", "the stack whose guest it is")
      .option("--domain <id>", "libvirt's UUID or name; default: the one last seen ready")
      .option("--libvirt-uri <uri>", "where the domain runs; default: likewise")
      .option("--deadline-seconds <seconds>", "how long to wait")
      .addOption(
        new Option("--input <json>", "the same as one JSON object").env("VEXLAB_INPUT").hideHelp(),
      );

  verb("wait", "wait until the guest is ready: booted, cloud-init finished, SSH, source mounted")
    .option(
      "--ssh-port <port>",
      "port of 127.0.0.1 that leads to the guest's SSH; default: likewise",
    )
    .option("--user <name>", "the guest's user")
    .option("--console-file <file>", "the serial console; default: the stack's")
    .option("--private-key-file <file>", "default: the stack's")
    .option("--known-hosts-file <file>", "default: the stack's")
    .action(async (flags: Flags) => {
      await wait(verbInput("vm wait", vmWaitInput, ...(await known(flags, ["sshPort", "user"]))));
    });
  verb("remove-forks", "remove the guests of test runs that are left over").action(
    async (flags: Flags) => {
      const { stack, libvirtUri } = verbInput(
        "vm remove-forks",
        vmRemoveForksInput,
        ...(await known(flags)),
      );
      print({ removed: await removeForks(stack, connectionUri(libvirtUri)) });
    },
  );
  verb("start", "start a guest that is stopped").action(async (flags: Flags) => {
    const { libvirtUri, domain } = verbInput("vm start", vmPowerInput, ...(await known(flags)));
    print({ started: await startDomain(connectionUri(libvirtUri), domain) });
  });
  verb("stop", "shut the guest down; after the deadline, take its power away").action(
    async (flags: Flags) => {
      const input = verbInput("vm stop", vmPowerInput, ...(await known(flags)));
      const { libvirtUri, domain, deadlineSeconds } = input;
      print({
        stopped: await stopDomain(connectionUri(libvirtUri), domain, deadlineSeconds * 1000),
      });
    },
  );
}

/** JSON and flags; what a person left out is taken from the record of the stack's guest. */
async function known(
  { input, ...flags }: Flags,
  more: readonly ("sshPort" | "user")[] = [],
): Promise<[json: string | undefined, flags: Record<string, unknown>]> {
  const stack = stackName().safeParse(flags["stack"]);
  if (input !== undefined || !stack.success) return [input, flags];
  const record = await readGuestRecord(stackFolder(stack.data));
  if (record === undefined) return [undefined, flags];
  const recorded = Object.fromEntries(
    (["domain", "libvirtUri", ...more] as const).map((key) => [key, record[key]]),
  );
  return [JSON.stringify(recorded), flags];
}

async function removeForks(stack: string, libvirtUri: string): Promise<string[]> {
  const folder = stackFolder(stack);
  await removeTemplates(libvirtUri);
  const name = domainNameOf(stack);
  return removeSiblings({ stackFolder: folder, libvirtUri, name }, true);
}

async function wait(input: z.output<typeof vmWaitInput>): Promise<void> {
  const folder = stackFolder(input.stack);
  const progress = terminalProgress();
  try {
    const consoleFile = input.consoleFile ?? join(folder, "console.log");
    const domain = {
      domain: input.domain,
      libvirtUri: connectionUri(input.libvirtUri),
      consoleFile,
    };
    const bootMs = input.deadlineSeconds * 1000;
    const started =
      input.warm === "auto" &&
      (await cancellable((signal) =>
        warmStart({ ...domain, stackFolder: folder, user: input.user, bootMs }, progress, {
          signal,
          beside: () => GuestSession.prepare(),
        }),
      ));
    const hasBooted = started && "warm" in started;
    const result = await waitForGuest(
      {
        stackFolder: folder,
        address: {
          host: "127.0.0.1",
          port: input.sshPort,
          user: input.user,
          privateKeyFile: input.privateKeyFile ?? join(folder, "id_ed25519"),
          knownHostsFile: input.knownHostsFile ?? join(folder, "known_hosts"),
        },
        ...domain,
        deadlineMs: bootMs * (hasBooted ? 1 : await bootPatience(domain)),
      },
      progress,
    );
    print(result);
  } catch (error) {
    if (error instanceof LabError) await recordFailure(folder, error);
    throw error;
  }
}

/** What `npm run up` exits with after Pulumi has flattened this verb's exit code. */
async function recordFailure(folder: string, error: LabError): Promise<void> {
  const verdict =
    error.exitCode === ExitCode.hung
      ? "hung"
      : error.exitCode === ExitCode.cancelled
        ? "cancelled"
        : "infrastructure-failed";
  const at = new Date().toISOString();
  const reason = error.message.split("\n")[0] ?? error.message;
  await writeLastVerdict(folder, {
    runId: `vm-wait-${at}`,
    verdict,
    exitCode: exitCodeOf(verdict),
    reason,
    at,
  });
}

function print(result: object): void {
  process.stdout.write(`${jsonText(result)}\n`);
}
