/**
 * Messages of the kernel's log as the lines of a console or of dmesg show them. Pure.
 *
 * printk puts a time before each line, and with CONFIG_PRINTK_CALLER who printed it: a task (`T12`) or
 * a processor outside of one (`C1`). `dmesg --syslog --raw` and `console_msg_format=syslog` put the
 * priority before that, whose facility tells messages of the kernel (0) from those that programs write
 * to /dev/kmsg, which can't be 0 (Documentation/ABI/testing/dev-kmsg).
 */

export interface KernelMessage {
  /** Seconds since the boot; undefined when the kernel prints no times. */
  readonly time: number | undefined;
  readonly caller: string | undefined;
  readonly text: string;
}

const priority = /^<(\d{1,4})>/;
const kernelPriorities = 8;
const stamp = /\[ {0,10}(\d{1,10}\.\d{1,9})\](?:\[ {0,10}([TC]\d{1,10})\])? ?/g;
/** Before a program's message in the journal's form: what follows is the program's. */
const programName = /^[^\s[\]]{1,64}\[\d{1,10}\]: /;

/** Takes lines without control characters, in their order. */
export class KernelMessages {
  private timed = false;
  private prioritised = false;

  /**
   * What the kernel says in a line: nothing, one message, or several when it was cut by another. Once
   * a line had a time or a priority, lines without it are not the kernel's.
   */
  read(line: string): KernelMessage[] {
    const prefix = priority.exec(line);
    if (prefix !== null) {
      this.prioritised = true;
      if (Number(prefix[1]) >= kernelPriorities) return [];
    } else if (this.prioritised) {
      return [];
    }
    const text = line.slice(prefix?.[0].length ?? 0);
    const stamps = stampsOf(text);
    if (stamps.length === 0)
      return this.timed ? [] : [{ time: undefined, caller: undefined, text }];
    this.timed = true;
    return stamps.map(({ time, caller, end }, index) => ({
      time,
      caller,
      text: text.slice(end, stamps[index + 1]?.start).trimEnd(),
    }));
  }
}

interface Stamp {
  readonly time: number;
  readonly caller: string | undefined;
  readonly start: number;
  readonly end: number;
}

/** Where messages begin. A time that is older than the one before, or that a program names, is text. */
function stampsOf(text: string): Stamp[] {
  const found: Stamp[] = [];
  for (const match of text.matchAll(stamp)) {
    const before = found.at(-1);
    const time = Number(match[1]);
    const end = match.index + match[0].length;
    if (before !== undefined && time < before.time) continue;
    if (programName.test(text.slice(before?.end ?? 0, match.index))) break;
    found.push({ time, caller: match[2], start: match.index, end });
  }
  return found;
}
