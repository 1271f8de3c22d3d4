/** `vexlab module build`: the module under test, built for an image's kernel. */
import { randomUUID } from "node:crypto";
import { resolve } from "node:path";
import { Option, type Command } from "commander";
import * as z from "zod";
import { buildModule } from "../lab/build/build.ts";
import type { Builder } from "../lab/build/builder.ts";
import { guestBuilder, runningKernel } from "../lab/build/guestBuild.ts";
import { hostBuilder } from "../lab/build/hostBuild.ts";
import type { BuildResult } from "../lab/build/result.ts";
import { allow } from "../lab/config/allowed.ts";
import { ConfigurationError, ExitCode, LabError } from "../lab/config/errors.ts";
import { stackFolder } from "../lab/config/places.ts";
import { isRecipeName, recipeNames } from "../lab/config/recipes.ts";
import { stackName } from "../lab/config/stackName.ts";
import { verbInput } from "../lab/config/verbInput.ts";
import { GuestSession } from "../lab/guest/session.ts";
import { builtImage, ensureImage, openImage, type Image } from "../lab/image/image.ts";
import { terminalProgress, type Progress } from "../lab/report/progress.ts";
import { writeLastVerdict } from "../lab/run/lastVerdict.ts";
import type { VerdictKind } from "../lab/run/verdict.ts";

const text = (words: string) => allow(words, z.string().min(1, "is empty"));

const guestAddress = z.strictObject({
  host: allow("127.0.0.1", z.literal("127.0.0.1", { error: "is not this host" })),
  port: allow("a port", z.coerce.number().int().min(1).max(65_535)),
  user: text("a user's name"),
  privateKeyFile: text("a file"),
  knownHostsFile: text("a file"),
});

/** Input of `module build`. */
export const moduleBuildInput = z
  .strictObject({
    stack: stackName().default("dev"),
    source: text("a folder with a vexlab.yaml"),
    image: text(`an image's id, or a recipe: ${recipeNames.join(", ")}`),
    buildOn: allow("host or guest", z.enum(["host", "guest"])).default("host"),
    guest: guestAddress.optional(),
    clean: allow("true or false", z.boolean()).default(false),
    /** Those that will run: tools that none of them needs are not built. All when undefined. */
    suites: allow("names of suites of the manifest", z.array(z.string())).optional(),
  })
  .refine(({ buildOn, guest }) => buildOn === "host" || guest !== undefined, {
    path: ["guest"],
    error: "is required for a build in the guest",
  });

type Input = z.output<typeof moduleBuildInput>;

interface Flags {
  readonly input?: string;
  readonly stack?: string;
  readonly source?: string;
  readonly image?: string;
  readonly on?: string;
  readonly clean?: boolean;
  readonly guestPort?: string;
  readonly guestUser: string;
}

export function register(program: Command): void {
  const noun =
    program.commands.find((command) => command.name() === "module") ??
    program.command("module").description("the module under test");
  noun
    .command("build")
    .description("build the module, or show that it is built")
    .option("--source <folder>", "the folder with vexlab.yaml; it is only read")
    .option("--image <id>", "an image's id or a recipe's name")
    .option("--on <where>", "host (in the image's root file system) or guest", "host")
    .option("--clean", "build from nothing, even what is built")
    .option("--stack <name>", "whose build it is", "dev")
    .option("--guest-port <port>", "for a build in the guest: its SSH port on 127.0.0.1")
    .option("--guest-user <name>", "and its user", "vexfs")
    .addOption(
      new Option("--input <json>", "the same as one JSON object").env("VEXLAB_INPUT").hideHelp(),
    )
    .action(async (flags: Flags) => {
      const input = moduleBuildInputOf(flags);
      const result = await recorded(input, () => build(input));
      process.stdout.write(`${JSON.stringify(result)}\n`);
    });
}

/** JSON is taken as it is; a person's flags have defaults. */
export function moduleBuildInputOf(flags: Flags): Input {
  if (flags.input !== undefined) {
    return verbInput("module build", moduleBuildInput, flags.input);
  }
  const { stack, source, image, on, clean, guestPort, guestUser } = flags;
  const keys = stackFolder(stack ?? "dev");
  const guest = guestPort !== undefined && {
    host: "127.0.0.1",
    port: guestPort,
    user: guestUser,
    privateKeyFile: resolve(keys, "id_ed25519"),
    knownHostsFile: resolve(keys, "known_hosts"),
  };
  return verbInput("module build", moduleBuildInput, undefined, {
    ...{ stack, source, image, buildOn: on, clean },
    ...(guest === false ? {} : { guest }),
  });
}

async function build(input: Input): Promise<BuildResult> {
  const progress = terminalProgress();
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, onSignal);
  try {
    const image = await imageOf(input.image, progress, stop.signal);
    return await withBuilder(input, image, stop.signal, (builder, kernelRelease) =>
      buildModule(
        {
          ...{ stack: input.stack, source: resolve(input.source), builder },
          image: { ...image, kernelRelease },
          clean: input.clean,
          ...(input.suites && { suites: input.suites }),
        },
        { progress, signal: stop.signal },
      ),
    );
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
  }
}

async function imageOf(name: string, progress: Progress, signal: AbortSignal): Promise<Image> {
  return isRecipeName(name) ? await ensureImage(name, progress, { signal }) : await openImage(name);
}

/** Connects to the guest only when it is the guest that builds, and hangs up afterwards. */
async function withBuilder<Result>(
  { buildOn, guest }: Input,
  image: Image,
  signal: AbortSignal,
  work: (builder: Builder, kernelRelease: string) => Promise<Result>,
): Promise<Result> {
  if (buildOn === "host" || guest === undefined) {
    const { sysroot, kernelRelease } = builtImage(image);
    return await work(hostBuilder(sysroot), kernelRelease);
  }
  const session = await GuestSession.connect(guest, { deadlineMs: 60_000, signal });
  try {
    return await work(guestBuilder(session), await runningKernel(session));
  } finally {
    session.close();
  }
}

const verdicts: Partial<Record<ExitCode, VerdictKind>> = {
  [ExitCode.infrastructureFailed]: "infrastructure-failed",
  [ExitCode.hung]: "hung",
  [ExitCode.cancelled]: "cancelled",
};

/** A failure is the stack's verdict: `npm run up` exits with it after Pulumi flattened ours. */
async function recorded<Result>(input: Input, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof LabError) {
      await writeLastVerdict(stackFolder(input.stack), {
        runId: `build-${randomUUID()}`,
        // A source folder that is configured wrongly did not build either.
        verdict: verdicts[error.exitCode] ?? "build-failed",
        exitCode: error instanceof ConfigurationError ? ExitCode.usage : error.exitCode,
        reason: error.message,
        at: new Date().toISOString(),
      });
    }
    throw error;
  }
}
