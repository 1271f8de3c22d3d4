/** Faults of what vexlab runs on, made in a cell of the host: disks, images, ports, QEMU itself. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { FaultLab } from "./faultLab.ts";
import type { HostCell, Mend } from "./hostCell.ts";

/** Where a fault is made. */
export interface CellPlace {
  readonly cell: HostCell;
  readonly lab: FaultLab;
  /** The folder of the image that the stack's guest boots, and that of its warm image. */
  readonly image: string;
  readonly warm: string;
}

/** What is done for a fault. */
export interface Made {
  readonly mend: Mend;
  /** Variables of the run. */
  readonly environment?: Readonly<Record<string, string>>;
  /** What should not be there after the run. */
  readonly left?: () => Promise<string[]>;
}

export interface CellFault {
  readonly name: string;
  readonly what: string;
  /** The words of vexlab's command. */
  readonly words: readonly string[];
  /** The suite's program, for a test. */
  readonly command?: readonly string[];
  readonly caseTimeout?: number;
  readonly exitCode: number;
  /** Fits what a terminal gets. */
  readonly says: RegExp;
  /** Seconds, on a quiet host without KVM. */
  readonly within: number;
  readonly why?: string;
  /** Keys of the stack's file. */
  readonly keys?: Readonly<Record<string, string>>;
  make(place: CellPlace): Promise<Made>;
}

const stack = "ci";
const test = ["test", "--stack", stack];
const harmless = ["tests/harmless.sh"];

/** Everything that a reader could take for a result. */
const resultsIn =
  (folder: string, { cell }: CellPlace) =>
  async (): Promise<string[]> => {
    const names = await cell.files(folder);
    const results = names.filter((name) =>
      /\/(?:result\.json|junit\.xml|console\.log)$/.test(name),
    );
    const texts = await Promise.all(results.map((name) => cell.read(join(folder, name))));
    const isWhole = (text: string): boolean => text.endsWith("\n") || text.endsWith(">");
    return results.filter((_, index) => !isWhole(texts[index] ?? ""));
  };

export const cellFaults: readonly CellFault[] = [
  {
    name: "results-disk-full",
    what: "no space for a run's results",
    words: test,
    command: harmless,
    exitCode: 3,
    says: /test_results\/\S+ can't be written: ENOSPC: .*; \d+ bytes are left there/,
    within: 60,
    why: "what can't be looked up later is no result",
    async make(place) {
      const folder = place.lab.path("test_results");
      const mend = await place.cell.mountSmall(folder, "4k");
      return { mend, left: resultsIn(folder, place) };
    },
  },
  {
    name: "build-disk-full",
    what: "no space for the build",
    words: test,
    command: harmless,
    exitCode: 3,
    says: /builds\/ci can't be written: (?:.|\n)*No space left on device|builds\/ci can't be written: ENOSPC/,
    within: 60,
    why: "nobody knows whether the sources can be built",
    async make({ cell, lab }) {
      const folder = lab.path(`.vexlab/builds/${stack}`);
      const mend = await cell.mountSmall(folder, "200k");
      const left = async (): Promise<string[]> =>
        (await cell.files(folder)).filter((name) => /^[0-9a-f]{16}$|^\.building-/.test(name));
      return { mend, left };
    },
  },
  {
    name: "guest-disk-full",
    what: "no space for what the guest writes",
    words: test,
    command: ["tests/guest.sh", "write-much"],
    caseTimeout: 20,
    exitCode: 3,
    says: /QEMU has paused the guest \(I\/O error\).*no space.*; \/\S+ has \d+ bytes left/,
    within: 120,
    why: "QEMU stops the guest until there is space: neither the test nor the kernel hangs",
    async make({ cell, lab }) {
      const mend = await cell.mountSmall(lab.path(`.vexlab/stacks/${stack}/forks`), "16m");
      return { mend };
    },
  },
  {
    name: "port-taken",
    what: "another program listens on the guest's port",
    words: ["up", stack],
    exitCode: 2,
    says: /vexlab:sshPort = \d+: the port is taken by process \d+ \(node -e /,
    within: 40,
    async make({ cell, lab }) {
      const { port, mend } = await listen(cell, lab.path());
      return { mend, environment: { VEXFS_VM_SSH_PORT: port } };
    },
  },
  {
    name: "kernel-damaged",
    what: "a byte of the image's kernel has changed",
    words: test,
    command: harmless,
    exitCode: 3,
    says: /image debian-[\w-]+ is damaged: vmlinuz: its checksum is/,
    within: 60,
    make: async ({ cell, image }) => ({ mend: await cell.damage(join(image, "vmlinuz")) }),
  },
  {
    name: "image-damaged",
    what: "a byte of the image's root disk has changed",
    words: ["reset", stack],
    exitCode: 3,
    says: /image debian-[\w-]+ is damaged: root\.qcow2: its checksum is/,
    within: 60,
    why: "a guest is not started from it, neither warm nor cold",
    make: async ({ cell, image }) => ({ mend: await cell.damage(join(image, "root.qcow2")) }),
  },
  {
    name: "warm-image-damaged",
    what: "a byte of the saved guest's memory has changed",
    words: test,
    command: harmless,
    exitCode: 0,
    says: /no fork for the run: the warm image \w+ is damaged, .*; it takes the stack's own guest/,
    within: 90,
    why: "the guest that is running came from it when it was whole",
    make: async ({ cell, warm }) => ({ mend: await cell.damage(join(warm, "memory")) }),
  },
  {
    name: "accelerator-hangs",
    what: "QEMU never answers under KVM, which is asked for",
    words: ["preview", stack],
    keys: { accelerator: "kvm" },
    exitCode: 2,
    says: /vexlab:accelerator = kvm: (?:KVM is there but does not work: the probe guest did not finish within 5 s|\/dev\/kvm is missing)/,
    within: 40,
    make: (place) => withQemu(place, `case "$*" in *"-accel kvm"*) exec sleep 1000;; esac`),
  },
  {
    name: "accelerator-hangs-auto",
    what: "… which is not asked for",
    words: ["preview", stack],
    exitCode: 0,
    says: /unchanged/,
    within: 40,
    why: "emulation takes its place",
    make: (place) => withQemu(place, `case "$*" in *"-accel kvm"*) sleep 1000;; esac`),
  },
  {
    name: "emulator-hangs",
    what: "QEMU never answers at all",
    words: ["preview", stack],
    exitCode: 3,
    says: /qemu-system-x86_64 does not work on this host: the probe guest did not finish within 30 s/,
    within: 60,
    make: (place) => withQemu(place, "sleep 1000"),
  },
];

/** A program of the cell's user that listens on some port. */
async function listen(
  cell: HostCell,
  folder: string,
): Promise<{ readonly port: string; readonly mend: Mend }> {
  const script =
    'const s = net.createServer().listen(0, "127.0.0.1", () => console.log(s.address().port))';
  const [program = "", ...words] = cell.argv(folder, ["node", "-e", script]);
  const listener = spawn(program, words, { stdio: ["ignore", "pipe", "inherit"] });
  const [said] = (await once(listener.stdout, "data")) as [Buffer];
  const mend = async (): Promise<void> => {
    listener.kill();
    await once(listener, "exit");
  };
  return { port: said.toString().trim(), mend };
}

/** Puts a script before QEMU, whose accelerators are then tried anew. */
async function withQemu({ cell }: CellPlace, script: string): Promise<Made> {
  const qemu = "qemu-system-x86_64";
  const real = `PATH='${process.env["PATH"] ?? ""}' exec ${qemu} "$@"`;
  const { path } = await cell.program(qemu, `${script}\n${real}`);
  const mend = await cell.takeAway("accelerator.json");
  return { environment: { PATH: path }, mend };
}
