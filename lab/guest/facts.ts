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

// One command, because each costs a round trip and a fork in an emulated guest. Every answer is one
// line. The files are cloud-init's own; `cloud-init status` would cost seconds of interpreted Python.
const script = `\
uname -r
sed -n 's/^btime //p' /proc/stat
tr -d '\\n' </run/cloud-init/status.json; echo
if mountpoint -q "$1"; then echo; else sudo -n mount "$1" 2>&1 | tr '\\n' ' '; echo; fi
mountpoint -q "$1" && echo mounted || echo missing
`;

const stage = z.looseObject({
  finished: z.number().nullish(),
  errors: z.array(z.unknown()).optional(),
  recoverable_errors: z.record(z.string(), z.array(z.unknown())).optional(),
});
const statusSchema = z.object({ v1: z.record(z.string(), z.unknown()) });

/** Asks a guest whose cloud-init has finished about itself; mounts the share if it isn't. */
export async function guestFacts(session: GuestSession, deadlineMs: number): Promise<GuestFacts> {
  const result = await session.run(["sh", "-c", script, "facts", share.mountPoint], { deadlineMs });
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

/** Pure part of guestFacts. @throws when the text isn't the script's output. */
export function parseFacts(text: string): GuestFacts {
  const [release = "", bootTime, status, mountMessage, mounted] = text.split("\n");
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
    shareProblem: mounted === "mounted" ? undefined : mountMessage?.trim() || "mount said nothing",
  };
}
