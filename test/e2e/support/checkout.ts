/**
 * A checkout of the project for one test file: the files that git knows, in a folder of its own, so
 * that sources, stack files and state can be changed and thrown away. Packages and the generated SDK
 * are the real checkout's.
 */
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { parse, stringify } from "yaml";

const project = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));

/** No command of a test takes longer, a first image build included. */
const DEADLINE_MS = 15 * 60_000;
const PREVIEW_DEADLINE_MS = 90_000;

/** How a command ended. */
export interface Ended {
  readonly exitCode: number | undefined;
  /** Standard output and error, in the order in which they came. */
  readonly all: string;
  readonly stdout: string;
  readonly seconds: number;
}

export class Checkout {
  private constructor(
    readonly folder: string,
    /** Laid over the environment of every command. */
    readonly environment: Record<string, string>,
  ) {}

  /** Copies the project into a new folder below `parent`. */
  static async make(parent = "/tmp", environment: Record<string, string> = {}): Promise<Checkout> {
    const folder = await mkdtemp(join(parent, "vexlab-e2e-"));
    const { stdout } = await execa("git", ["ls-files", "-z"], { cwd: project });
    for (const file of stdout.split("\0").filter((name) => name !== "")) {
      await mkdir(dirname(join(folder, file)), { recursive: true });
      await cp(join(project, file), join(folder, file), { verbatimSymlinks: true });
    }
    for (const shared of ["node_modules", "sdks"]) {
      await symlink(join(project, shared), join(folder, shared));
    }
    return new Checkout(folder, environment);
  }

  /** Runs `scripts/vexlab` with these words. Never throws for its exit code. */
  async vexlab(words: readonly string[], deadlineMs?: number): Promise<Ended> {
    return this.run([join(this.folder, "scripts/vexlab"), ...words], deadlineMs);
  }

  /** Runs plain `pulumi` in an environment that `vexlab env` prepared. */
  async pulumi(words: readonly string[], deadlineMs = DEADLINE_MS): Promise<Ended> {
    const { stdout } = await this.vexlab(["env"]);
    const prepared = 'eval "$1"; shift; exec pulumi "$@" --non-interactive --color never';
    return this.run(["bash", "-c", prepared, "bash", stdout, ...words], deadlineMs);
  }

  /** Runs a command in the checkout; one that does not end in time has no exit code. */
  async run(argv: readonly string[], deadlineMs = DEADLINE_MS): Promise<Ended> {
    const [program = "", ...args] = argv;
    const started = performance.now();
    const run = await execa(program, args, {
      cwd: this.folder,
      env: this.environment,
      stdin: "ignore",
      all: true,
      reject: false,
      timeout: deadlineMs,
      forceKillAfterDelay: 10_000,
    });
    const seconds = (performance.now() - started) / 1000;
    return { exitCode: run.exitCode, all: run.all, stdout: run.stdout, seconds };
  }

  path(...parts: string[]): string {
    return join(this.folder, ...parts);
  }

  read(file: string): Promise<string> {
    return readFile(this.path(file), "utf8");
  }

  write(file: string, text: string): Promise<void> {
    return writeFile(this.path(file), text);
  }

  /** Replaces the only place of a text in a file; throws when it is not there exactly once. */
  async edit(file: string, from: string, to: string): Promise<void> {
    const parts = (await this.read(file)).split(from);
    if (parts.length !== 2) throw new Error(`${file}: ${from} is there ${parts.length - 1} times`);
    await this.write(file, parts.join(to));
  }

  /** Sets keys of a stack's file; undefined removes a key. */
  async configure(stack: string, keys: Record<string, string | number | undefined>): Promise<void> {
    const file = `stacks/Pulumi.${stack}.yaml`;
    const text = await this.read(file).catch(() => "config: {}\n");
    const document = parse(text) as { config: Record<string, unknown> };
    for (const [key, value] of Object.entries(keys)) {
      if (value === undefined) Reflect.deleteProperty(document.config, `vexlab:${key}`);
      else document.config[`vexlab:${key}`] = value;
    }
    await this.write(file, stringify(document));
  }

  /**
   * Leaves only two quick suites in the example's manifest, and of its tools the one that they use:
   * for tests about something else.
   */
  async quickSuites(): Promise<void> {
    const file = "examples/vexfs/vexlab.yaml";
    const manifest = parse(await this.read(file)) as Record<"tools" | "suites", { name: string }[]>;
    const only = (list: { name: string }[], ...names: string[]) =>
      list.filter(({ name }) => names.includes(name));
    manifest.tools = only(manifest.tools, "vexctl");
    manifest.suites = only(manifest.suites, "build-system", "module-operations");
    await this.write(file, stringify(manifest));
    // The compilers' and linters' checks, which would now run in the guest, for minutes.
    const suite = "examples/vexfs/tests/build-system.sh";
    const text = await this.read(suite);
    const without = text.replace(/^if checks_are_ours.*?^fi$/ms, "");
    if (without === text) throw new Error(`${suite} has another form than quickSuites() knows`);
    await this.write(suite, without);
  }

  /** The stack's outputs. */
  async outputs(stack: string): Promise<Record<string, unknown>> {
    const { stdout } = await this.pulumi(["stack", "output", "--json", "--stack", stack]);
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  /** What a preview would do: each resource's operation by its name, unchanged ones left out. */
  async planned(stack: string, ...words: string[]): Promise<Record<string, string>> {
    const argv = ["preview", "--json", "--stack", stack, ...words];
    const { stdout, all } = await this.pulumi(argv, PREVIEW_DEADLINE_MS);
    const start = stdout.indexOf("{");
    if (start === -1) throw new Error(all);
    const { steps } = JSON.parse(stdout.slice(start)) as { steps: { op: string; urn: string }[] };
    const changed = steps.filter(({ op }) => !["same", "refresh", "read"].includes(op));
    return Object.fromEntries(changed.map(({ op, urn }) => [urn.split("::").at(-1) ?? "", op]));
  }

  /** Runs a command in the guest with OpenSSH's own client, as the stack's output says. */
  async ssh(stack: string, command: string): Promise<Ended> {
    const { sshCommand } = await this.outputs(stack);
    return this.run([...String(sshCommand).split(" "), "-o", "BatchMode=yes", command]);
  }

  /** Removes the checkout; its stacks must be destroyed before. */
  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** A commands' output when it ended otherwise than expected, for a test's message. */
export function expectExit(ended: Ended, exitCode: number): Ended {
  if (ended.exitCode !== exitCode) {
    throw new Error(`exit code ${String(ended.exitCode)}, not ${exitCode}:\n${ended.all}`);
  }
  return ended;
}
