/** The processor time of all processes of this host (proc(5), /proc/PID/stat). */
import { readFileSync } from "node:fs";
import { processIds } from "../lab/hypervisor/processes.ts";
import { CpuTime, type ProcessTimes } from "./cpuTime.ts";

// USER_HZ is 100 on all architectures that vexlab runs on (sysconf(3), _SC_CLK_TCK).
const ticksPerSecond = 100;
const intervalMs = 500;
/** How often a process is asked whether it is a QEMU. */
const looks = 3;

/** A process by the name of the program that it runs. */
interface NamedTimes extends ProcessTimes {
  readonly name: string;
}

/** What a line of /proc/PID/stat says; undefined when it is none. */
export function parseStat(line: string): NamedTimes | undefined {
  // The name may hold blanks and parentheses.
  const pid = Number(/^\d+/.exec(line)?.[0]);
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  // Numbered from 1 in proc(5), where state is 3.
  const field = (number: number): number => Number(fields[number - 3]);
  const seconds = (number: number): number => field(number) / ticksPerSecond;
  const times = {
    ...{ pid, parent: field(4), started: field(22) },
    own: seconds(14) + seconds(15),
    children: seconds(16) + seconds(17),
  };
  const name = line.slice(line.indexOf("(") + 1, line.lastIndexOf(")"));
  return Object.values(times).every(Number.isFinite) ? { name, ...times } : undefined;
}

/** Text of a file that vanishes with its process; empty then. */
function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** Watches the processor time of groups of processes. */
export class ProcessWatch {
  private readonly times = new CpuTime();
  private readonly roots = new Map<number, string>();
  private readonly guests = new Map<string, string | undefined>();
  private readonly looked = new Map<string, number>();
  private timer: NodeJS.Timeout | undefined;

  /** @param groupOfGuest the group of a QEMU, by its domain's name, its command line and its number */
  constructor(
    private readonly groupOfGuest: (
      domain: string,
      words: string,
      pid: number,
    ) => string | undefined,
  ) {}

  /** A process begins a group. */
  add(pid: number, group: string): void {
    this.roots.set(pid, group);
  }

  start(): void {
    const again = (): void => {
      void this.look().finally(() => {
        if (this.timer !== undefined) this.timer = setTimeout(again, intervalMs).unref();
      });
    };
    this.timer = setTimeout(again, 0).unref();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  /** Looks at once. */
  async look(): Promise<void> {
    const found: NamedTimes[] = [];
    for (const pid of await processIds()) {
      const times = parseStat(read(`/proc/${pid}/stat`));
      if (times !== undefined) found.push(times);
    }
    this.times.sample(found, (each) => this.roots.get(each.pid) ?? this.guest(each));
  }

  secondsOf(group: string): number {
    return this.times.secondsOf(group);
  }

  private guest({ pid, started, name }: NamedTimes): string | undefined {
    // One that is about to become QEMU has its parent's name.
    const id = `${pid}/${started}/${name}`;
    if (this.guests.has(id)) return this.guests.get(id);
    const words = read(`/proc/${pid}/cmdline`);
    // QEMU's name option, as libvirt writes it: -name guest=DOMAIN,debug-threads=on
    const domain = /\0guest=([^,\0]+)/.exec(words)?.[1];
    const group = domain === undefined ? undefined : this.groupOfGuest(domain, words, pid);
    const times = (this.looked.get(id) ?? 0) + 1;
    this.looked.set(id, times);
    if (domain !== undefined || times === looks) this.guests.set(id, group);
    return group;
  }
}
