/** Where faults are made: a checkout of its own, with a stack whose guest is forked for each. */
import { once } from "node:events";
import { readdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { ChildProcess } from "node:child_process";
import { execa } from "execa";
import { stringify } from "yaml";
import { daemonFolder, places } from "../../lab/config/places.ts";
import { connectionUri } from "../../lab/hypervisor/connection.ts";
import { monitor } from "../../lab/hypervisor/monitor.ts";
import { processIds } from "../../lab/hypervisor/processes.ts";
import { domainNames } from "../../lab/hypervisor/virsh.ts";
import type { RunReport } from "../../lab/run/verdict.ts";
import { Checkout, expectExit, type Ended } from "../e2e/support/checkout.ts";
import type { Fault, HostAction } from "./fault.ts";
import type { HostCell, Mend } from "./hostCell.ts";

const sshPorts = { host: 2986, cell: 2985 };
/** For a guest that was told to end. */
const goneMs = 20_000;
/** A run that does not end by itself is a fault of vexlab's. */
const longestMs = 300_000;
const lookMs = 200;
export const standardStack = "ci";

/** Of a stack whose kernel looks for faults itself, which takes its time. */
const longestOf = (stack: string): number => (stack === standardStack ? 1 : 6) * longestMs;
/** The first `up` may build an image, and for stack debug a kernel. */
const firstUpMs = (stack: string): number => (stack === standardStack ? 3 : 72) * longestMs;

/** What came of a fault. */
export interface Outcome {
  readonly exitCode: number | undefined;
  readonly seconds: number;
  /** Missing when vexlab printed none. */
  readonly report: RunReport | undefined;
  /** All that a terminal would have got. */
  readonly terminal: string;
  /** The files that the run left for others to read, by name. */
  readonly files: Readonly<Record<string, string>>;
  /** What gdb finds in the guest's memory, if that was to be kept. */
  readonly memory?: string;
  /** Guests that were not there before. */
  readonly left: readonly string[];
}

type Process = Pick<ChildProcess, "pid" | "kill" | "stderr">;

export interface VerbOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** What is done to it, and the suite in whose time. */
  readonly during?: { readonly suite: string; readonly action: HostAction };
  readonly longestMs?: number;
}

/** As the keys of a stack have it. */
export interface Boots {
  readonly image?: string;
  readonly kernel?: string;
}

export class FaultLab {
  private readonly daemon: string;
  private readonly uri: string;
  private running: Process | undefined;

  private constructor(
    private readonly checkout: Checkout,
    private readonly signal: AbortSignal,
    private readonly cell: HostCell | undefined,
    private readonly stack: string,
  ) {
    const where = { ...places(), ...(cell && { cache: cell.cache }) };
    this.daemon = daemonFolder({ ...where, state: checkout.path(".vexlab") });
    this.uri = connectionUri("qemu:///session", this.daemon);
    signal.addEventListener("abort", () => this.running?.kill("SIGINT"), { once: true });
  }

  /**
   * @param boots what the guest boots; what the stack does by default
   * @param stack whose configuration the guest has
   * @param cell the part of the host that all happens in; without it, the host as it is
   */
  static async make(
    signal: AbortSignal,
    boots: Boots = {},
    cell?: HostCell,
    stack = standardStack,
  ): Promise<FaultLab> {
    const checkout = await Checkout.make("/tmp", cell ? { VEXLAB_CACHE_DIR: cell.cache } : {});
    const sshPort = cell ? sshPorts.cell : sshPorts.host;
    // As the stack `test` has it: the kernel notices more. A cell has a warm image of its own without.
    // Stack debug has other means.
    const plain = cell !== undefined || stack !== standardStack;
    const kernelParameters = plain ? undefined : "slub_debug=FZPU";
    const keys = { sshPort, source: "test/faults", kernelParameters };
    await checkout.configure(stack, { ...keys, ...boots });
    const lab = new FaultLab(checkout, signal, cell, stack);
    try {
      expectExit(await lab.verb(["up", stack], { longestMs: firstUpMs(stack) }), 0);
    } catch (error) {
      await lab.remove();
      throw error;
    }
    return lab;
  }

  path(...parts: string[]): string {
    return this.checkout.path(...parts);
  }

  async run(fault: Fault): Promise<Outcome> {
    this.signal.throwIfAborted();
    await this.describe(manifestOf(fault));
    await this.configure({ warm: fault.ownGuest ? "off" : undefined });
    const argv = ["test", "--stack", this.stack, "--suite", fault.name, "--json"];
    if (fault.inMemory) argv.push("--dump-memory");
    const { name: suite, host: action } = fault;
    const mend = fault.before && (await this.act(fault.before, undefined));
    const ended = await this.verb(argv, { ...(action && { during: { suite, action } }) });
    await mend?.();
    const { exitCode, stdout, stderr, seconds } = ended;
    const report = parsed(stdout);
    const files: Record<string, string> = {};
    for (const name of ["json", "junit"] as const)
      if (report) files[name] = await readFile(report.files[name], "utf8");
    const left = await this.leftOver();
    const memory = fault.inMemory ? await debuggerSays(report) : "";
    return { exitCode, seconds, report, terminal: stderr + stdout, files, left, memory };
  }

  /** Writes the module's manifest. */
  async describe(manifest: object): Promise<void> {
    await this.checkout.write("test/faults/vexlab.yaml", stringify(manifest));
  }

  /** Sets keys of the stack's file; undefined removes one. */
  async configure(keys: Readonly<Record<string, string | undefined>>): Promise<void> {
    await this.checkout.configure(this.stack, keys);
  }

  /** Destroys the stack and removes the checkout; keeps it, and says so, when that fails. */
  async remove(): Promise<void> {
    // A guest that was stopped answers nobody.
    for (const pid of await this.forks()) process.kill(pid, "SIGCONT");
    // The signal that ends the runs of faults is not meant for it.
    expectExit(await this.verb(["destroy", this.stack]), 0);
    await this.checkout.remove();
  }

  /** Runs a verb of vexlab. */
  async verb(
    words: readonly string[],
    options: VerbOptions = {},
  ): Promise<Ended & { readonly stderr: string }> {
    const { folder, environment } = this.checkout;
    const argv = [this.checkout.path("scripts/vexlab"), ...words];
    const [program = "", ...args] = this.cell?.argv(folder, argv) ?? argv;
    const began = performance.now();
    const running = execa(program, args, {
      ...{ cwd: folder, stdin: "ignore", all: true, reject: false },
      env: { ...environment, ...options.environment },
      // A terminal's Ctrl-C would reach it a second time, which ends it without its clean-up.
      detached: true,
      ...{ timeout: options.longestMs ?? longestOf(this.stack), forceKillAfterDelay: 30_000 },
    });
    this.running = running;
    const { during } = options;
    if (during)
      void this.whenRunning(running, during.suite, () => this.act(during.action, running.pid));
    const { exitCode, all, stdout, stderr } = await running;
    this.running = undefined;
    const seconds = (performance.now() - began) / 1000;
    return { exitCode, all, stdout, stderr, seconds };
  }

  /** What should be gone when a run has ended: forks' domains, processes and folders. */
  async leftOver(): Promise<string[]> {
    const until = performance.now() + goneMs;
    for (;;) {
      const domains = (await domainNames(this.uri)).filter((name) => name.includes("-fork-"));
      const processes = (await this.forks()).map((pid) => `process ${pid}`);
      const forks = this.checkout.path(`.vexlab/stacks/${this.stack}/forks`);
      const folders = await readdir(forks).catch(() => []);
      const left = [...domains, ...processes, ...folders.map((name) => `folder ${name}`)];
      if (left.length === 0 || performance.now() > until) return left;
      await sleep(lookMs);
    }
  }

  /** Acts a moment after the suite has begun. */
  private async whenRunning(
    running: Process & PromiseLike<unknown>,
    suite: string,
    act: () => Promise<unknown>,
  ): Promise<void> {
    let text = "";
    const begun = new Promise<void>((resolve) => {
      running.stderr?.on("data", (chunk: Buffer) => {
        text += chunk.toString();
        if (text.includes(`suite ${suite}\n`)) resolve();
      });
    });
    await Promise.race([begun, running]);
    await sleep(2000);
    await act().catch((error: unknown) => process.stderr.write(`faults: ${String(error)}\n`));
  }

  /** @returns what undoes it, where it doesn't pass by itself */
  private async act(action: HostAction, vexlab: number | undefined): Promise<Mend | undefined> {
    switch (action) {
      case "kill QEMU":
      case "stop QEMU":
        for (const pid of await this.forks())
          process.kill(pid, action === "kill QEMU" ? "SIGKILL" : "SIGSTOP");
        return undefined;
      case "remove the console file": {
        const forks = this.checkout.path(`.vexlab/stacks/${this.stack}/forks`);
        for (const each of await readdir(forks)) await rm(`${forks}/${each}/console.log`);
        return undefined;
      }
      case "interrupt vexlab":
        if (vexlab !== undefined) process.kill(vexlab, "SIGINT");
        return undefined;
      case "restart libvirtd":
        await this.endDaemon("SIGTERM");
        expectExit(await this.checkout.vexlab(["daemon", "start"]), 0);
        return undefined;
      case "kill libvirtd":
        await this.endDaemon("SIGKILL");
        return undefined;
      case "unplug the network":
        await monitor(this.uri, `vexlab-${this.stack}`, "set_link", { name: "ssh0", up: false });
        return undefined;
      case "take the port": {
        const stop = ["vm", "stop", "--stack", this.stack, "--deadline-seconds", "1"];
        expectExit(await this.checkout.vexlab(stop), 0);
        const server = createServer().listen(sshPorts.host, "127.0.0.1");
        await once(server, "listening");
        return async () => {
          server.close();
          await once(server, "close");
        };
      }
    }
  }

  private async endDaemon(signal: NodeJS.Signals): Promise<void> {
    const pid = Number(await readFile(`${this.daemon}/libvirtd.pid`, "utf8"));
    process.kill(pid, signal);
    const until = performance.now() + goneMs;
    while ((await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")) !== "") {
      if (performance.now() > until) throw new Error(`libvirtd did not end: process ${pid}`);
      await sleep(lookMs / 10);
    }
  }

  /** The processes of the stack's forks. */
  private async forks(): Promise<number[]> {
    const found: number[] = [];
    for (const pid of await processIds()) {
      const words = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      const isFork = words.includes(`guest=vexlab-${this.stack}-fork-`);
      if (isFork && words.includes(this.checkout.folder)) found.push(Number(pid));
    }
    return found;
  }
}

/** The manifest for one fault: its suite, and how the module is loaded for it. */
export function manifestOf({
  name,
  command,
  load,
  caseTimeout,
  timeout,
}: Pick<Fault, "name" | "command" | "load" | "caseTimeout" | "timeout">): object {
  return {
    name: "faults",
    module: { folder: "modules", make: ["W=1"], artefacts: ["faults.ko"] },
    load: { modules: ["faults.ko"], parameters: { "faults.ko": load ?? {} } },
    sources: { exclude: ["*.ts", "*.md"] },
    suites: [
      {
        ...{ name, command, load: load !== undefined },
        ...(caseTimeout !== undefined && { caseTimeout: `${caseTimeout}s` }),
        ...(timeout !== undefined && { timeout: `${timeout}s` }),
      },
    ],
  };
}

/** What gdb says when the memory is opened as the report has it. */
async function debuggerSays(report: RunReport | undefined): Promise<string> {
  const [dump] = report?.dumps ?? [];
  if (dump === undefined) return "";
  const [gdb = "", ...words] = dump.open.split(" ");
  const then = ["-ex", "info threads", "-ex", "thread apply all kernel-stack"];
  const argv = ["--nx", "--batch", ...words, ...then];
  const { all } = await execa(gdb, argv, { all: true, reject: false, timeout: longestMs });
  await rm(dump.file);
  return all;
}

function parsed(stdout: string): RunReport | undefined {
  try {
    return JSON.parse(stdout) as RunReport;
  } catch {
    return undefined;
  }
}
