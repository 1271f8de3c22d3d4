/** A stack of a checkout of its own whose runs are killed, and a look at what they leave. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, open, readdir, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { daemonFolder, places } from "../../lab/config/places.ts";
import { accepts } from "../../lab/hypervisor/listener.ts";
import { processIds } from "../../lab/hypervisor/processes.ts";
import { Checkout, expectExit, type Ended } from "../e2e/support/checkout.ts";

const stack = "ci";

export type Verb = "up" | "test" | "destroy";
export type Victim = "vexlab" | "pulumi";

const words: Record<Verb, readonly string[]> = {
  up: ["up", stack],
  test: ["test", "--stack", stack],
  destroy: ["destroy", stack],
};

/** Of a verb's time: one may be quicker than the one before it. */
const latest = 0.85;
const lookMs = 20;
/** For processes that were told to end, or whose parent has gone. */
const goneMs = 30_000;
/** For vexlab when Pulumi has died, and for a run. */
const endMs = 60_000;
const runMs = 6 * 60_000;

export class KillLab {
  /** Milliseconds that a verb takes undisturbed; the last time. */
  private readonly took = new Map<Verb, number>();

  private constructor(
    private readonly checkout: Checkout,
    /** Where its runs keep temporary files. */
    private readonly temporary: string,
    private readonly sshPort: number,
  ) {}

  static async make(sshPort: number): Promise<KillLab> {
    const temporary = await mkdtemp(join(tmpdir(), "vexlab-kills-"));
    const checkout = await Checkout.make(tmpdir(), { TMPDIR: temporary });
    // A module that is built and tested in seconds.
    await checkout.configure(stack, { sshPort, source: "test/faults" });
    return new KillLab(checkout, temporary, sshPort);
  }

  /** Runs a verb to its end. */
  async run(verb: Verb): Promise<Ended> {
    const ended = await this.checkout.run(
      [this.checkout.path("scripts/vexlab"), ...words[verb]],
      runMs,
    );
    if (ended.exitCode === 0) this.took.set(verb, ended.seconds * 1000);
    return ended;
  }

  /** Runs a verb that has to work at once; what was wrong when it did not. Shows what it had to mend. */
  async works(verb: Verb): Promise<string[]> {
    const { exitCode, all, seconds } = await this.run(verb);
    const mended = all
      .split("\n")
      .filter((line) => /was killed|killed run|interrupted|left of/.test(line));
    for (const line of mended) console.log(`${verb}: ${line.trim()}`);
    if (exitCode === 0) return [];
    return [`then ${verb} ended with ${String(exitCode)} after ${seconds.toFixed(1)} s:\n${all}`];
  }

  /**
   * Starts a verb and kills one process of it.
   * @param fraction of the verb's time but its end, which is hit too seldom, after which it is killed
   * @returns when, for a person
   */
  async kill(verb: Verb, victim: Victim, fraction: number): Promise<string> {
    const { checkout, temporary } = this;
    const log = await open(join(temporary, "killed.log"), "w");
    const began = performance.now();
    const run = spawn(checkout.path("scripts/vexlab"), words[verb], {
      cwd: checkout.folder,
      env: { ...process.env, ...checkout.environment },
      // A file, which may be held open by those who are left, unlike a pipe that is waited for.
      stdio: ["ignore", log.fd, log.fd],
      detached: true,
    });
    const exited = once(run, "exit");
    await log.close();
    await sleep(fraction * latest * (this.took.get(verb) ?? 0));
    // There is no Pulumi yet at the beginning.
    const look = (): Promise<number | undefined> =>
      victim === "vexlab" ? Promise.resolve(run.pid) : this.pulumi();
    let pid = await look();
    while (pid === undefined && run.exitCode === null) {
      await sleep(lookMs);
      pid = await look();
    }
    const at = `${((performance.now() - began) / 1000).toFixed(2)} s after ${verb}`;
    const alive = run.exitCode === null && pid !== undefined;
    if (alive && pid !== undefined) process.kill(pid, "SIGKILL");
    const stuck = await Promise.race([exited, sleep(endMs, "stuck", { ref: false })]);
    if (stuck === "stuck") throw new Error(`${verb} did not end within a minute of the kill`);
    const text = await readFile(join(temporary, "killed.log"), "utf8");
    const last = text.trim().split("\n").at(-1) ?? "";
    await rm(join(temporary, "killed.log"));
    return `${alive ? "killed" : "had ended"} ${at}, when it had said "${last.trim()}"`;
  }

  /** Guests of test runs, their folders and processes. */
  async forks(): Promise<string[]> {
    return settled(async () => {
      const folder = this.checkout.path(`.vexlab/stacks/${stack}/forks`);
      const folders = await readdir(folder).catch(() => []);
      const processes = (await this.processes()).filter(({ argv }) =>
        argv.includes(`guest=vexlab-${stack}-fork-`),
      );
      return [
        ...folders.map((name) => `fork's folder ${name}`),
        ...processes.map(({ pid }) => `fork's process ${pid}`),
      ];
    });
  }

  /** What is left of a stack that was destroyed. */
  async left(): Promise<string[]> {
    const { checkout, temporary } = this;
    const daemon = daemonFolder({ ...places(), state: checkout.path(".vexlab") });
    const locks = checkout.path(".vexlab/pulumi/.pulumi/locks");
    const ours = checkout.path(`.vexlab/locks/${stack}.lock`);
    return settled(async () => {
      const left = (await this.processes()).map(({ pid, argv }) => `process ${pid}: ${argv}`);
      for (const folder of [daemon, checkout.path(`.vexlab/stacks/${stack}`)])
        if (existsSync(folder)) left.push(`folder ${folder}`);
      const files = await readdir(locks, { recursive: true }).catch(() => []);
      left.push(
        ...files.filter((name) => name.endsWith(".json")).map((name) => `Pulumi's lock ${name}`),
      );
      const free = await execa("flock", ["--nonblock", ours, "true"], { reject: false });
      if (existsSync(ours) && free.exitCode !== 0) left.push(`lock ${ours}`);
      if (await accepts({ port: this.sshPort, host: "127.0.0.1" }))
        left.push(`port ${this.sshPort}`);
      const faults = await readdir(checkout.path(".vexlab/faults")).catch(() => []);
      left.push(...faults.map((name) => `fault ${name}`));
      // What tsx has translated, which it keeps, and the sockets of providers that were killed.
      const foreign = /^tsx-|^plugin\d+$/;
      const kept = (await readdir(temporary)).filter((name) => !foreign.test(name));
      left.push(...kept.map((name) => `temporary file ${name}`));
      return left;
    });
  }

  /** Destroys the stack and removes the checkout; keeps it, and says so, when that fails. */
  async remove(): Promise<void> {
    expectExit(await this.run("destroy"), 0);
    await this.checkout.remove();
    await rm(this.temporary, { recursive: true, force: true });
  }

  /** Pulumi's engine, not its plugins. */
  private async pulumi(): Promise<number | undefined> {
    const found = (await this.processes()).find(({ argv }) =>
      /^\S*\/pulumi (up|destroy) /.test(argv),
    );
    return found?.pid;
  }

  /** The processes that work in the checkout or for it. */
  private async processes(): Promise<{ readonly pid: number; readonly argv: string }[]> {
    const { folder } = this.checkout;
    const found: { pid: number; argv: string }[] = [];
    for (const name of await processIds()) {
      const text = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
      const cwd = await readlink(`/proc/${name}/cwd`).catch(() => "");
      const argv = text.replaceAll("\0", " ").trim();
      if (argv === "" || !(argv.includes(folder) || cwd.startsWith(folder))) continue;
      found.push({ pid: Number(name), argv });
    }
    return found;
  }
}

/** What is there, when it has had its time to vanish. */
async function settled(look: () => Promise<string[]>): Promise<string[]> {
  const until = performance.now() + goneMs;
  for (;;) {
    const left = await look();
    if (left.length === 0 || performance.now() > until) return left;
    await sleep(200);
  }
}
