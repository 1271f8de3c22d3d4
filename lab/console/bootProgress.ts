/** How far a guest's boot has come, as its console shows it. Pure. */
import { ConsoleLines } from "./consoleLines.ts";

export type Milestone =
  | "firmware"
  | "kernel"
  | "initrd"
  | "root file system"
  | "systemd"
  | "cloud-init init-local"
  | "cloud-init init"
  | "cloud-init config"
  | "cloud-init final"
  | "ssh";

const signs: readonly (readonly [Milestone, RegExp])[] = [
  ["firmware", /SeaBIOS \(version|iPXE \(http|BdsDxe: /],
  ["kernel", /Linux version \d+\.\d+/],
  ["initrd", /Run \/(?:\S+\/)?init as init process|Loading, please wait/],
  ["root file system", /(?:EXT4-fs|XFS|BTRFS)\b.*(?:mounted filesystem|Mounting V\d)/],
  ["systemd", /systemd\[1\]: systemd \d+.* running in system mode|^Welcome to .*!$/],
  // cloud-init's own first line of each stage (cloudinit/cmd/main.py, WELCOME_MSG_TPL).
  ["cloud-init init-local", /Cloud-init v\. .* running 'init-local'/],
  ["cloud-init init", /Cloud-init v\. .* running 'init'/],
  ["cloud-init config", /Cloud-init v\. .* running 'modules:config'/],
  ["cloud-init final", /Cloud-init v\. .* running 'modules:final'/],
  ["ssh", /Started .*(?:OpenBSD Secure Shell server|OpenSSH (?:server )?daemon)/],
];

export type BootEvent =
  | { readonly kind: "milestone"; readonly milestone: Milestone }
  /** A kernel began anew on the same console: everything before it is about an earlier boot. */
  | { readonly kind: "restarted" }
  | { readonly kind: "line"; readonly line: string };

/** Feed it console text, cut anywhere. Each milestone of a boot is reported once. */
export class BootProgress {
  private readonly lines = new ConsoleLines();
  private readonly reached = new Set<Milestone>();

  push(chunk: string): BootEvent[] {
    const events: BootEvent[] = [];
    for (const line of this.lines.push(chunk)) {
      if (this.reached.has("kernel") && milestoneOf(line) === "kernel") {
        this.reached.clear();
        events.push({ kind: "restarted" });
      }
      this.note(line, events);
      events.push({ kind: "line", line });
    }
    return events;
  }

  /** The last milestone of this boot in the order of a boot; undefined before the first. */
  get latest(): Milestone | undefined {
    return signs.findLast(([milestone]) => this.reached.has(milestone))?.[0];
  }

  private note(line: string, events: BootEvent[]): void {
    const milestone = milestoneOf(line);
    if (milestone === undefined || this.reached.has(milestone)) return;
    this.reached.add(milestone);
    events.push({ kind: "milestone", milestone });
  }
}

/** The milestone that a line without control characters shows; undefined if none. */
export function milestoneOf(line: string): Milestone | undefined {
  return signs.find(([, pattern]) => pattern.test(line))?.[0];
}
