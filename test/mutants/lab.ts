/** Where mutants live: a checkout of its own with a stack that is up, and one mutant at a time. */
import { mkdir } from "node:fs/promises";
import { execa } from "execa";
import { parse, stringify } from "yaml";
import { ExitCode } from "../../lab/config/errors.ts";
import { readManifest } from "../../lab/config/manifest.ts";
import type { RunReport } from "../../lab/run/verdict.ts";
import { Checkout, expectExit, type Ended } from "../e2e/support/checkout.ts";
import type { Mutant } from "./mutant.ts";

const stack = "ci";
const sshPort = 2991;
const example = "examples/vexfs";
const manifestFile = `${example}/vexlab.yaml`;
/** Longer than all suites of the example with a case that hangs in each. */
const runMs = 45 * 60_000;
const shownLines = 15;

/** The sources do not build. */
export class BuildFailure extends Error {}

export class MutantLab {
  private constructor(
    private readonly checkout: Checkout,
    /** Aborted when all is to end. */
    private readonly signal: AbortSignal,
    /** The example's suites. */
    readonly suites: readonly string[],
  ) {}

  static async make(signal: AbortSignal): Promise<MutantLab> {
    const checkout = await Checkout.make();
    await checkout.configure(stack, { sshPort });
    const { suites } = await readManifest(checkout.path(example));
    const names = suites.map(({ name }) => name);
    return new MutantLab(checkout, signal, names);
  }

  /** Says of each patch that does not fit the sources which it is. */
  async misfits(mutants: readonly Mutant[]): Promise<string[]> {
    const said = await Promise.all(
      mutants.map(async (mutant) => {
        const { exitCode, stderr } = await this.patch(mutant, "--check");
        return exitCode === 0 ? [] : [`mutant ${mutant.name} does not apply: ${stderr}`];
      }),
    );
    return said.flat();
  }

  /** The stack is up afterwards, and every warning of a compiler is an error. */
  async up(): Promise<void> {
    const text = await this.checkout.read(manifestFile);
    const manifest = parse(text) as Record<"tools" | "suites", { name: string }[]> & {
      module: { make?: string[] };
    };
    // `up` runs the suites, too: one will do.
    const short = {
      ...manifest,
      tools: manifest.tools.filter(({ name }) => name === "vexctl"),
      suites: manifest.suites.filter(({ name }) => name === "damaged-disk"),
    };
    await this.checkout.write(manifestFile, stringify(short));
    await this.vexlab("up", stack);
    manifest.module.make = [...(manifest.module.make ?? []), "KCFLAGS=-Werror"];
    await this.checkout.write(manifestFile, stringify(manifest));
    await mkdir(this.checkout.path(example, "rust/.cargo"), { recursive: true });
    await this.checkout.write(
      `${example}/rust/.cargo/config.toml`,
      '[build]\nrustflags = ["-D", "warnings"]\n',
    );
  }

  /** Does something while a mutant is in the sources. */
  async with<T>(mutant: Mutant, work: () => Promise<T>): Promise<T> {
    await this.patched(mutant);
    try {
      return await work();
    } finally {
      await this.patched(mutant, "--reverse");
    }
  }

  /**
   * Builds, and runs suites, or one case of one, in a fresh guest until something fails.
   * @throws BuildFailure; Error when there is no report.
   */
  async test(suites: readonly string[], ...options: string[]): Promise<RunReport> {
    this.signal.throwIfAborted();
    const words = ["test", "--stack", stack, "--stop-at-first", "--json", ...options, ...suites];
    const vexlab = this.checkout.path("scripts/vexlab");
    const ended = await this.checkout.run([vexlab, ...words], runMs);
    this.signal.throwIfAborted();
    if (ended.exitCode === ExitCode.buildFailed) throw new BuildFailure(lastLines(ended));
    if (ended.stdout === "")
      throw new Error(`exit code ${String(ended.exitCode)}: ${lastLines(ended)}`);
    return JSON.parse(ended.stdout) as RunReport;
  }

  /** Leaves nothing, or says what stayed. */
  async remove(): Promise<string | undefined> {
    const ended = await this.checkout.vexlab(["destroy", stack]);
    if (ended.exitCode !== 0) return `${this.checkout.folder} stays: ${lastLines(ended)}`;
    await this.checkout.remove();
    return undefined;
  }

  private async patched(mutant: Mutant, ...options: string[]): Promise<void> {
    const { exitCode, stderr } = await this.patch(mutant, ...options);
    if (exitCode !== 0) throw new Error(`mutant ${mutant.name} does not apply: ${stderr}`);
  }

  private async patch(
    { patch }: Mutant,
    ...options: string[]
  ): Promise<{ readonly exitCode?: number; readonly stderr: string }> {
    const { folder } = this.checkout;
    // In a repository git would pass over files that are not of it.
    const env = { GIT_CEILING_DIRECTORIES: folder, GIT_DIR: `${folder}/.no-repository` };
    const git = ["apply", "--whitespace=nowarn", ...options, "-"];
    return execa("git", git, { cwd: folder, env, input: patch, reject: false });
  }

  private async vexlab(...words: string[]): Promise<Ended> {
    this.signal.throwIfAborted();
    const ended = await this.checkout.vexlab(words);
    this.signal.throwIfAborted();
    return expectExit(ended, 0);
  }
}

function lastLines({ all }: Ended): string {
  return all.trim().split("\n").slice(-shownLines).join("\n");
}
