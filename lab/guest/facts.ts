import * as z from "zod";
import { ExitCode, LabError } from "../config/errors.ts";
import { share } from "./cloudInit.ts";
import { kernelReleaseIn } from "./kernelRelease.ts";
import type { GuestSession } from "./session.ts";

export interface GuestFacts {
  readonly kernelRelease: string;
  /** From the kernel's start until cloud-init had finished. */
  readonly bootSeconds: number;
  /** Errors of cloud-init; empty when all went well. */
  readonly cloudInitErrors: readonly string[];
  /** The same for what cloud-init calls recoverable, such as deprecated keys. */
  readonly cloudInitWarnings: readonly string[];
  /** Why the share is not mounted; undefined when it is. */
  readonly shareProblem: string | undefined;
}

// One program, because each costs an emulated guest a twentieth of a second when it runs for the first
// time. Every answer is one line. Status is cloud-init's own file; `cloud-init status` would cost seconds
// of interpreted Python.
const script = `\
FILENAME == ARGV[1] { print }
FILENAME == ARGV[2] && $1 == "btime" { print $2 }
FILENAME == ARGV[3] { status = status $0 }
FILENAME == ARGV[4] && $2 == share { mounted = "mounted" }
END { print status; print mounted ? mounted : "missing" }
`;
const files = [
  "/proc/sys/kernel/osrelease",
  "/proc/stat",
  "/run/cloud-init/status.json",
  "/proc/mounts",
];

const stage = z.looseObject({
  finished: z.number().nullish(),
  errors: z.array(z.unknown()).optional(),
  recoverable_errors: z.record(z.string(), z.array(z.unknown())).optional(),
});
const statusSchema = z.object({ v1: z.record(z.string(), z.unknown()) });

/**
 * Asks a guest whose cloud-init has finished about itself; mounts the share if it isn't.
 * @param deadlineMs for each question
 */
export async function guestFacts(session: GuestSession, deadlineMs: number): Promise<GuestFacts> {
  const facts = await ask(session, deadlineMs);
  if (facts.shareProblem === undefined) return facts;
  const mount = await session.run(["sudo", "-n", "mount", share.mountPoint], { deadlineMs });
  const again = await ask(session, deadlineMs);
  const said = `${mount.stdout}${mount.stderr}`.trim().replaceAll("\n", " ");
  return again.shareProblem === undefined || said === "" ? again : { ...again, shareProblem: said };
}

async function ask(session: GuestSession, deadlineMs: number): Promise<GuestFacts> {
  const argv = ["awk", "-v", `share=${share.mountPoint}`, script, ...files];
  const result = await session.run(argv, { deadlineMs });
  try {
    return parseFacts(result.stdout);
  } catch (cause) {
    throw new LabError(
      `the guest's answer about itself makes no sense: ${result.stdout.slice(0, 200)}${result.stderr.slice(0, 200)}`,
      ExitCode.infrastructureFailed,
      undefined,
      { cause },
    );
  }
}

/** What the script says. @throws when the text isn't its output. */
export function parseFacts(text: string): GuestFacts {
  const [release = "", bootTime, status, mounted] = text.split("\n");
  const { v1 } = statusSchema.parse(JSON.parse(status ?? ""));
  const stages = Object.values(v1).flatMap((value) => {
    const parsed = stage.safeParse(value);
    return parsed.success ? [parsed.data] : [];
  });
  const kernelRelease = kernelReleaseIn(release);
  const finished = Math.max(...stages.map((each) => each.finished ?? 0));
  if (!kernelRelease || (mounted !== "mounted" && mounted !== "missing")) {
    throw new Error("lines are missing");
  }
  return {
    kernelRelease,
    bootSeconds: Math.round((finished - Number(bootTime)) * 10) / 10,
    cloudInitErrors: stages.flatMap((each) => each.errors ?? []).map(String),
    cloudInitWarnings: stages
      .flatMap((each) => Object.values(each.recoverable_errors ?? {}).flat())
      .map(String),
    shareProblem: mounted === "mounted" ? undefined : "mount said nothing",
  };
}
