/**
 * A deadline for the libvirt provider, which has none of its own: where one operation takes far too
 * long, its process is ended. Pulumi then says that the operation failed, writes down what it knows and
 * ends; what the operation has made is found by whoever takes the stack next (strays.ts).
 *
 * It did hang, reading back a disk: libvirtd may send the first data of a download before the answer to
 * the call. go-libvirt (rpc.go, requestStream) takes the one for the other, believes the stream to be at
 * its end, and waits for the lock that its own reader holds. Nothing of a stack is downloaded any more
 * (lab/guest/cloudInitDisk.ts).
 */
import { readlink } from "node:fs/promises";
import { basename } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { ExitCode, LabError } from "../lab/config/errors.ts";
import { followConsole } from "../lab/console/follow.ts";
import { processIds, sessionOf } from "../lab/hypervisor/processes.ts";
import { parseEvent, ProviderOperations } from "./providerOperations.ts";

/** With it Pulumi knows the option `--event-log` (pkg/util/cmdutil of pulumi). */
export const eventLogAllowed = { PULUMI_DEBUG_COMMANDS: "true" } as const;

const limitVariable = "VEXLAB_PROVIDER_SECONDS";
/**
 * Operations take less than a second where nothing else runs. But where KVM is there and broken, the
 * system's libvirtd asks QEMU again for each domain what it can do: more than a minute was seen.
 */
const defaultSeconds = 300;
const lookMs = 500;
const program = "terraform-provider-libvirt";

/** How long an operation may take, in ms. @throws LabError (exit 2) when the variable is no number */
export function providerLimit(environment: NodeJS.ProcessEnv = process.env): number {
  const text = environment[limitVariable] || String(defaultSeconds);
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text) * 1000;
  throw new LabError(
    `${limitVariable} = ${text}: not a number of seconds; allowed: 1 to 999999`,
    ExitCode.usage,
    `Set it to a number, or unset it for ${defaultSeconds}.`,
  );
}

/** Watches one run of Pulumi. */
export class ProviderWatch {
  private readonly operations = new ProviderOperations(performance.now());
  private pulumi: number | undefined;
  private timer: NodeJS.Timeout | undefined;
  private said: string | undefined;
  private killing = false;

  /** @param say told once, when the provider is ended */
  constructor(
    private readonly limitMs: number,
    private readonly say: (text: string) => void,
  ) {}

  /** What did not end in time; undefined while nothing has. */
  get stalled(): string | undefined {
    return this.said;
  }

  /** @param pid of Pulumi, which leads a session of its own */
  begin(pid: number): void {
    this.pulumi = pid;
    this.timer ??= setInterval(() => void this.look(), lookMs).unref();
  }

  take(event: unknown): void {
    this.operations.take(event, performance.now());
  }

  /** Takes the events that Pulumi writes to a file, until the signal says that it has ended. */
  async follow(file: string, signal: AbortSignal): Promise<void> {
    const lines = createInterface({ input: Readable.from(texts(file, signal)) });
    for await (const line of lines) this.take(parseEvent(line));
  }

  end(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private async look(): Promise<void> {
    const late = this.operations.overdue(performance.now(), this.limitMs);
    if (late === undefined || this.pulumi === undefined) return;
    if (this.killing || this.said !== undefined) return;
    this.killing = true;
    const killed = await killProvider(this.pulumi);
    this.killing = false;
    // Without a provider it is Pulumi's program that takes its time.
    if (killed === 0) return;
    this.said = `the libvirt provider did not end ${late}`;
    this.say(`${this.said}: it is killed`);
  }
}

async function* texts(file: string, signal: AbortSignal): AsyncGenerator<string> {
  for await (const event of followConsole(file, signal))
    if (event.kind === "text") yield event.text;
}

/** Kills the provider's processes in a session. @returns how many */
async function killProvider(session: number): Promise<number> {
  let count = 0;
  for (const pid of await processIds()) {
    const file = await readlink(`/proc/${pid}/exe`).catch(() => "");
    if (!basename(file).startsWith(program)) continue;
    if ((await sessionOf(Number(pid))) !== session) continue;
    try {
      process.kill(Number(pid), "SIGKILL");
      count += 1;
    } catch {
      // It has just ended.
    }
  }
  return count;
}
