/**
 * Waiting for a guest's boot by its console: until it has announced that cloud-init has finished, or
 * shows why it never will.
 */
import { ExitCode, LabError } from "../config/errors.ts";
import type { NotReady } from "../console/notReady.ts";
import type { Progress } from "../report/progress.ts";
import { followBoot, type BootOutcome } from "./bootConsole.ts";
import { whenNotRunning } from "./domainWatch.ts";
import { resetDomain } from "./power.ts";

export interface BootRequest {
  readonly consoleFile: string;
  /** libvirt's UUID or name. */
  readonly domain: string;
  readonly libvirtUri: string;
  readonly deadlineMs: number;
}

/** What the wait needs of the host beside the file system and the network; replaced in tests. */
export interface BootEdges {
  whenNotRunning(
    libvirtUri: string,
    domain: string,
    signal: AbortSignal,
  ): Promise<string | undefined>;
  /** Presses the reset button. */
  reset(libvirtUri: string, domain: string): Promise<void>;
}

const shownLines = 20;
/**
 * Emulated guests with several processors sometimes hang for ever in the kernel's first seconds, when
 * it patches its own code under QEMU's multi-threaded emulation (seen once in 16 boots of QEMU 7.2).
 * A guest that has not come to systemd after this part of the deadline is reset, once.
 */
const earlyHangPart = 1 / 4;

/**
 * Waits until the guest has booted and cloud-init has finished.
 * @param stop aborted when the deadline passes, or with a LabError to throw; aborts also what watches the
 * domain
 * @throws LabError hung when the deadline passes; infrastructureFailed when the guest can't get ready.
 * The message holds the console's explanation.
 */
export async function booted(
  request: BootRequest,
  progress: Progress,
  stop: AbortController,
  edges: BootEdges = { whenNotRunning, reset: resetDomain },
): Promise<Extract<BootOutcome, { kind: "ready" }>> {
  let notRunning: string | undefined;
  const watching = edges
    .whenNotRunning(request.libvirtUri, request.domain, stop.signal)
    .then((reason) => {
      notRunning = stop.signal.aborted ? undefined : reason;
      if (reason !== undefined) stop.abort();
    });
  const earlyHang = setTimeout(() => {
    progress.line("the guest hangs early in its boot: it is reset, once");
    // When that fails, the wait goes on to its deadline and says what the console shows.
    edges.reset(request.libvirtUri, request.domain).catch((error: unknown) => {
      progress.line(`it could not be reset: ${String(error)}`);
    });
  }, request.deadlineMs * earlyHangPart);
  const outcome = await followBoot(
    request.consoleFile,
    {
      milestone: (milestone) => {
        if (milestone === "systemd") clearTimeout(earlyHang);
        progress.line(milestone);
      },
      restarted: () => progress.line("the guest starts anew"),
    },
    stop.signal,
  ).finally(() => clearTimeout(earlyHang));
  if (outcome.kind === "ready") {
    // The watch goes on until the wait is over; nobody needs its answer then.
    void watching.catch(() => undefined);
    return outcome;
  }
  stop.abort();
  await watching;
  if (stop.signal.reason instanceof LabError) throw stop.signal.reason;
  if (notRunning !== undefined) {
    throw failure(request, ExitCode.infrastructureFailed, notRunning, outcome.why);
  }
  if (outcome.kind === "gaveUp") {
    throw failure(request, ExitCode.infrastructureFailed, "the guest can't get ready", outcome.why);
  }
  const waited = `the guest is not ready after ${request.deadlineMs / 1000} s`;
  throw failure(request, ExitCode.hung, waited, outcome.why);
}

function failure(request: BootRequest, exitCode: ExitCode, what: string, why: NotReady): LabError {
  const lines = why.evidence.slice(-shownLines).map((line) => `  | ${line}`);
  return new LabError(
    [`${what}: ${why.reason}`, ...lines].join("\n"),
    exitCode,
    `The whole console is in ${request.consoleFile}`,
  );
}
