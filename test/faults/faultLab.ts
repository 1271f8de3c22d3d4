/** Where faults are made: a checkout of its own, with a stack whose guest is forked for each. */
import { readdir, readFile, rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { ChildProcess } from "node:child_process";
import { execa } from "execa";
import { stringify } from "yaml";
import { daemonFolder, places } from "../../lab/config/places.ts";
import { connectionUri } from "../../lab/hypervisor/connection.ts";
import { domainNames } from "../../lab/hypervisor/virsh.ts";
import type { RunReport } from "../../lab/run/verdict.ts";
import { Checkout, expectExit, type Ended } from "../e2e/support/checkout.ts";
import type { Fault, HostAction } from "./fault.ts";

const stack = "ci";
const sshPort = 2986;
/** For a guest that was told to end. */
const goneMs = 20_000;
/** A run that does not end by itself is a fault of vexlab's. */
const longestMs = 300_000;
const lookMs = 200;

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
  /** Guests that were not there before. */
  readonly left: readonly string[];
}

type Process = Pick<ChildProcess, "pid" | "kill" | "stderr">;

export class FaultLab {
  private readonly domains: () => Promise<string[]>;
  private running: Process | undefined;

  private constructor(
    private readonly checkout: Checkout,
    private readonly signal: AbortSignal,
  ) {
    const folder = daemonFolder({ ...places(), state: checkout.path(".vexlab") });
    this.domains = () => domainNames(connectionUri("qemu:///session", folder));
    signal.addEventListener("abort", () => this.running?.kill("SIGINT"), { once: true });
  }

  /** @param kernel as `vexlab:kernel` has it; the image's own by default */
  static async make(signal: AbortSignal, kernel?: string): Promise<FaultLab> {
    const checkout = await Checkout.make();
    await checkout.configure(stack, { sshPort, source: "test/faults", ...(kernel && { kernel }) });
    const lab = new FaultLab(checkout, signal);
    try {
      expectExit(await lab.vexlab(["up", stack]), 0);
    } catch (error) {
      await lab.remove();
      throw error;
    }
    return lab;
  }

  async run(fault: Fault): Promise<Outcome> {
    this.signal.throwIfAborted();
    const { checkout } = this;
    await checkout.write("test/faults/vexlab.yaml", stringify(manifestOf(fault)));
    await checkout.configure(stack, { warm: fault.ownGuest ? "off" : undefined });
    const argv = ["test", "--stack", stack, "--suite", fault.name, "--json"];
    const { exitCode, stdout, stderr, seconds } = await this.vexlab(argv, fault);
    this.signal.throwIfAborted();
    const report = parsed(stdout);
    const files: Record<string, string> = {};
    for (const name of ["json", "junit"] as const)
      if (report) files[name] = await readFile(report.files[name], "utf8");
    const left = await this.leftOver();
    return { exitCode, seconds, report, terminal: stderr + stdout, files, left };
  }

  /** Destroys the stack and removes the checkout; keeps it, and says so, when that fails. */
  async remove(): Promise<void> {
    const { checkout } = this;
    // A guest that was stopped answers nobody.
    for (const pid of await this.forks()) process.kill(pid, "SIGCONT");
    expectExit(await checkout.vexlab(["destroy", stack]), 0);
    await checkout.remove();
  }

  private async vexlab(
    argv: readonly string[],
    fault?: Fault,
  ): Promise<Ended & { readonly stderr: string }> {
    const { folder, environment } = this.checkout;
    const began = performance.now();
    const running = execa(this.checkout.path("scripts/vexlab"), argv, {
      ...{ cwd: folder, env: environment, stdin: "ignore", all: true, reject: false },
      // A terminal's Ctrl-C would reach it a second time, which ends it without its clean-up.
      detached: true,
      ...{ timeout: longestMs * (fault ? 1 : 3), forceKillAfterDelay: 30_000 },
    });
    this.running = running;
    const action = fault?.host;
    if (action) void this.whenRunning(running, fault.name, () => this.act(action, running.pid));
    const { exitCode, all, stdout, stderr } = await running;
    this.running = undefined;
    const seconds = (performance.now() - began) / 1000;
    return { exitCode, all, stdout, stderr, seconds };
  }

  /** Acts a moment after the suite has begun. */
  private async whenRunning(
    running: Process & PromiseLike<unknown>,
    suite: string,
    act: () => Promise<void>,
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

  private async act(action: HostAction, vexlab: number | undefined): Promise<void> {
    switch (action) {
      case "kill QEMU":
      case "stop QEMU":
        for (const pid of await this.forks())
          process.kill(pid, action === "kill QEMU" ? "SIGKILL" : "SIGSTOP");
        return;
      case "remove the console file": {
        const forks = this.checkout.path(`.vexlab/stacks/${stack}/forks`);
        for (const each of await readdir(forks)) await rm(`${forks}/${each}/console.log`);
        return;
      }
      case "interrupt vexlab":
        if (vexlab !== undefined) process.kill(vexlab, "SIGINT");
    }
  }

  /** The processes of the stack's forks. */
  private async forks(): Promise<number[]> {
    const found: number[] = [];
    for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
      const words = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      const isFork = words.includes(`guest=vexlab-${stack}-fork-`);
      if (isFork && words.includes(this.checkout.folder)) found.push(Number(pid));
    }
    return found;
  }

  /** What should be gone when a run has ended: forks' domains, processes and folders. */
  private async leftOver(): Promise<string[]> {
    const until = performance.now() + goneMs;
    for (;;) {
      const domains = (await this.domains()).filter((name) => name.includes("-fork-"));
      const processes = (await this.forks()).map((pid) => `process ${pid}`);
      const forks = this.checkout.path(`.vexlab/stacks/${stack}/forks`);
      const folders = await readdir(forks).catch(() => []);
      const left = [...domains, ...processes, ...folders.map((name) => `folder ${name}`)];
      if (left.length === 0 || performance.now() > until) return left;
      await sleep(lookMs);
    }
  }
}

/** The manifest for one fault: its suite, and how the module is loaded for it. */
export function manifestOf({ name, command, load, caseTimeout, timeout }: Fault): object {
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

function parsed(stdout: string): RunReport | undefined {
  try {
    return JSON.parse(stdout) as RunReport;
  } catch {
    return undefined;
  }
}
