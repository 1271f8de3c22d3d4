/**
 * What Pulumi is waiting for from the libvirt provider, by the engine's events: the provider has no
 * deadline, and may hang in its connection to libvirt for ever. Pure.
 *
 * Format: `EngineEvent` in sdk/go/common/apitype/events.go of pulumi; one JSON object a line in the
 * file of `--event-log`.
 */
import * as z from "zod";

const step = z.looseObject({
  metadata: z.looseObject({ op: z.string(), urn: z.string(), type: z.string() }),
});
const engineEvent = z.looseObject({
  resourcePreEvent: step.optional(),
  resOutputsEvent: step.optional(),
  resOpFailedEvent: step.optional(),
});

const isOfProvider = (type: string): boolean =>
  /^(?:libvirt:|pulumi:providers:libvirt$)/.test(type);
// Those that have deadlines of their own.
const isCommand = (type: string): boolean => type.startsWith("command:");

interface Operation {
  readonly op: string;
  readonly type: string;
  /** The resource's name in the program. */
  readonly resource: string;
  readonly since: number;
}

export class ProviderOperations {
  // By URN alone: a refresh ends under the name of what it has found out.
  private readonly begun = new Map<string, Operation>();
  private lastEvent: number;

  /** @param now ms of the caller's clock */
  constructor(now: number) {
    this.lastEvent = now;
  }

  /** Takes an event; what is none is passed over. */
  take(event: unknown, now: number): void {
    const parsed = engineEvent.safeParse(event);
    if (!parsed.success) return;
    this.lastEvent = now;
    const { resourcePreEvent, resOutputsEvent, resOpFailedEvent } = parsed.data;
    const ended = (resOutputsEvent ?? resOpFailedEvent)?.metadata.urn;
    if (ended !== undefined) this.begun.delete(ended);
    if (resourcePreEvent === undefined) return;
    const { op, urn, type } = resourcePreEvent.metadata;
    if (isOfProvider(type) || isCommand(type))
      this.begun.set(urn, { op, type, resource: urn.split("::").at(-1) ?? urn, since: now });
  }

  /**
   * What the provider should have done by now. Before Pulumi says that an operation begins, it has the
   * provider check it: then there is only silence.
   */
  overdue(now: number, limitMs: number): string | undefined {
    const within = `within ${limitMs / 1000} s`;
    const operations = [...this.begun.values()].toSorted((a, b) => a.since - b.since);
    const oldest = operations.find(({ type }) => isOfProvider(type));
    if (oldest !== undefined && now - oldest.since >= limitMs)
      return `${oldest.op} of ${oldest.resource} ${within}`;
    const silent = operations.length === 0 && now - this.lastEvent >= limitMs;
    return silent ? `what Pulumi waits for ${within}` : undefined;
  }
}

/** The object in a line of the file; undefined when the line is none. */
export function parseEvent(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
