/**
 * What vexlab relies on in the command plugin, asked of a real engine. By default of our stand-in;
 * with VEXLAB_COMMAND_PLUGIN=/path/to/pulumi-resource-command of any other, such as the official
 * one, so that both can be compared (docs/command-plugin.md).
 */
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { execa, type Options } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { places } from "../../lab/config/places.ts";
import { installStandIn } from "../../toolchain/command-plugin/install.ts";
import type { Plan } from "../fixtures/command-conformance/index.ts";

const engine = process.env["VEXLAB_PULUMI"] ?? "pulumi";
const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const secret = "the-secret-of-this-test-7d1f";
/** Milliseconds that one run of the engine may take, on a machine that does much else. */
const engineDeadline = 180_000;

let folder: string;
let project: string;
let creationLog = "";

async function usePlugin(home: string): Promise<void> {
  const given = process.env["VEXLAB_COMMAND_PLUGIN"];
  if (given === undefined) return installStandIn(home, "1.2.1");
  const installed = join(home, "plugins", "resource-command-v1.2.1");
  await mkdir(dirname(installed), { recursive: true });
  await cp(dirname(given), installed, { recursive: true, dereference: true });
}

function pulumi(args: readonly string[], options: Options = {}) {
  return execa(engine, [...args, "--non-interactive"], {
    cwd: project,
    all: true,
    reject: false,
    timeout: engineDeadline,
    env: {
      PULUMI_HOME: join(folder, "home"),
      PULUMI_BACKEND_URL: `file://${join(folder, "state")}`,
      PULUMI_CONFIG_PASSPHRASE: "conformance",
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
      VEXLAB_INHERITED: "from the engine's environment",
    },
    ...options,
  });
}

async function plan(wanted: Plan): Promise<void> {
  await writeFile(join(project, "plan.json"), JSON.stringify(wanted));
}

/** A file of the program's folder, in which the commands leave traces. */
const trace = (name: string): Promise<string> => readFile(join(project, name), "utf8");

async function succeeds(...args: string[]): Promise<string> {
  const { exitCode, all } = await pulumi(args);
  expect(exitCode, String(all)).toBe(0);
  return String(all);
}

interface CommandOutputs {
  stdout: string;
  stderr: string;
  assets: string[];
  archive: boolean;
}

async function outputs(): Promise<{ results: Record<string, CommandOutputs>; ran?: string }> {
  const { stdout } = await pulumi(["stack", "output", "--json", "--show-secrets"]);
  return JSON.parse(String(stdout)) as { results: Record<string, CommandOutputs>; ran?: string };
}

interface PreviewStep {
  op: string;
  urn: string;
  newState?: { inputs?: { environment?: Record<string, string> } };
}

async function previewSteps(): Promise<Map<string, PreviewStep>> {
  const { exitCode, stdout, stderr } = await pulumi(["preview", "--json"]);
  expect(exitCode, `${String(stdout)}${String(stderr)}`).toBe(0);
  const { steps } = JSON.parse(String(stdout)) as { steps: PreviewStep[] };
  return new Map(steps.map((step) => [step.urn.split("::").at(-1) ?? "", step]));
}

/** The names of the command resources that the stack's state has. */
async function namesInState(): Promise<string[]> {
  const { stdout } = await pulumi(["stack", "export"]);
  const { deployment } = JSON.parse(String(stdout)) as {
    deployment: { resources?: { urn: string; type: string }[] };
  };
  return (deployment.resources ?? [])
    .filter(({ type }) => type === "command:local:Command")
    .map(({ urn }) => urn.split("::").at(-1) ?? "");
}

const first: Plan = {
  commands: {
    greeting: {
      create: 'echo "hello, $NAME"; echo "a warning" >&2; echo created >> greeting.trace',
      environment: { NAME: "world" },
      delete: 'echo "$PULUMI_COMMAND_STDOUT|$PULUMI_COMMAND_STDERR|$NAME" > greeting.deleted',
    },
    dependent: { create: 'printf %s "[$GREETING]"', outputOf: { GREETING: "greeting" } },
    updatable: {
      create: "echo first",
      update: 'echo "updated after <$PULUMI_COMMAND_STDOUT>"',
      stdin: "one",
    },
    forgetful: {
      create: 'echo "then <${PULUMI_COMMAND_STDOUT-nothing}>"',
      addPreviousOutputInEnv: false,
      stdin: "one",
    },
    triggered: {
      create: "echo created >> triggered.trace; date +%s%N",
      delete: "echo deleted >> triggered.trace",
      triggers: ["one", 2],
    },
    confidential: { create: 'printf %s "$TOKEN" | wc -c', secrets: { TOKEN: secret } },
    fed: { create: "tr a-z A-Z", stdin: "some input" },
    placed: { create: 'pwd; cat here; printf "%s\\n" "$VEXLAB_INHERITED"', dir: "sub" },
    interpreted: {
      create: "6 * 7",
      interpreter: ["node", "--print"],
    },
    lines: { create: "printf 'a\\n\\nb\\n\\n'" },
  },
  run: { command: "cat; echo run >> run.trace", stdin: "ran\n" },
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-conformance-"));
  project = join(folder, "project");
  const { checkout } = places();
  await cp(join(checkout, "test/fixtures/command-conformance"), project, { recursive: true });
  await symlink(join(checkout, "node_modules"), join(project, "node_modules"));
  await mkdir(join(folder, "state"));
  await mkdir(join(project, "sub"));
  await writeFile(join(project, "sub", "here"), "here\n");
  await usePlugin(join(folder, "home"));
  await succeeds("stack", "init", "conformance");
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe("the command plugin under a real engine", () => {
  it("previews a create: outputs are unknown and nothing is run but the function", async () => {
    await plan(first);
    const steps = await previewSteps();
    expect(steps.get("greeting")?.op).toBe("create");
    expect(steps.get("dependent")?.newState?.inputs?.environment).toEqual({ GREETING: unknown });
    expect(existsSync(join(project, "greeting.trace"))).toBe(false);
    expect(await trace("run.trace")).toBe("run\n");
  });

  it("creates: environment, stdin, dir, interpreter, trimming, log", async () => {
    creationLog = await succeeds("up", "--yes");
    expect(creationLog).toContain("hello, world");
    expect(creationLog).toContain("a warning");
    const { results, ran } = await outputs();
    expect(results["greeting"]).toMatchObject({ stdout: "hello, world", stderr: "a warning" });
    expect(results["dependent"]?.stdout).toBe("[hello, world]");
    expect(results["fed"]?.stdout).toBe("SOME INPUT");
    expect(results["interpreted"]?.stdout).toBe("42");
    expect(results["lines"]?.stdout).toBe("a\n\nb\n");
    expect(results["placed"]?.stdout).toBe(
      `${join(project, "sub")}\nhere\nfrom the engine's environment`,
    );
    expect(ran).toBe("ran");
  });

  it("does nothing when nothing has changed, after a refresh too", async () => {
    await succeeds("up", "--yes", "--refresh", "--expect-no-changes");
    expect(await trace("greeting.trace")).toBe("created\n");
  });

  it("shows a secret variable neither in the state nor in the log", async () => {
    const { stdout: state } = await pulumi(["stack", "export"]);
    expect(String(state)).toContain("confidential");
    expect(creationLog).toContain("confidential");
    expect(String(state) + creationLog).not.toContain(secret);
    expect((await outputs()).results["confidential"]?.stdout.trim()).toBe(String(secret.length));
  });

  it("updates on changed inputs, replaces on changed triggers, collects files", async () => {
    const changed = structuredClone(first);
    // Not there before: an engine of 3.187.0 hands a refresh the state's assets without their paths.
    changed.commands["files"] = {
      create: "mkdir -p out; echo 1 > out/a; echo 2 > out/b.txt",
      dir: "sub",
      assetPaths: ["out/**", "!**.txt"],
      archivePaths: ["here"],
    };
    Object.assign(changed.commands["greeting"] ?? {}, { environment: { NAME: "moon" } });
    Object.assign(changed.commands["updatable"] ?? {}, { stdin: "two" });
    Object.assign(changed.commands["forgetful"] ?? {}, { stdin: "two" });
    Object.assign(changed.commands["triggered"] ?? {}, { triggers: ["one", 3] });
    await plan(changed);
    const before = await outputs();
    const steps = await previewSteps();
    const op = (name: string) => steps.get(name)?.op;
    expect(op("greeting")).toBe("update");
    expect(op("updatable")).toBe("update");
    expect(op("dependent")).toBe("update");
    expect(steps.get("dependent")?.newState?.inputs?.environment).toEqual({ GREETING: unknown });
    expect(op("triggered")).toMatch(/replace/);
    expect(op("fed")).toBeUndefined();

    await succeeds("up", "--yes");
    const { results } = await outputs();
    expect(results["greeting"]?.stdout).toBe("hello, moon");
    expect(await trace("greeting.trace")).toBe("created\ncreated\n");
    expect(results["dependent"]?.stdout).toBe("[hello, moon]");
    expect(results["updatable"]?.stdout).toBe("updated after <first>");
    expect(results["forgetful"]?.stdout).toBe("then <nothing>");
    expect(results["triggered"]?.stdout).not.toBe(before.results["triggered"]?.stdout);
    expect(await trace("triggered.trace")).toBe("created\ncreated\ndeleted\n");
    expect(results["files"]).toMatchObject({ assets: ["out/a"], archive: true });
  });

  it("leaves no resource of a create that failed, and tells why", async () => {
    await plan({
      commands: {
        failing: { create: "echo tried; echo in vain >&2; exit 7" },
        failingLoudly: { create: "yes loud | head -n 50000; exit 8", logging: "none" },
      },
    });
    const { exitCode, all } = await pulumi(["up", "--yes", "--target", "**failing*"]);
    expect(exitCode).not.toBe(0);
    expect(String(all)).toContain('exit status 7: running "echo tried; echo in vain >&2; exit 7":');
    expect(String(all)).toMatch(/tried\n\s*in vain/);
    expect(String(all)).toContain('exit status 8: running "yes loud | head -n 50000; exit 8":');
    expect((await namesInState()).join()).not.toContain("failing");
  });

  it("ends a running command when the engine is interrupted", async () => {
    await plan({ commands: { slow: { create: "echo $$ > slow.pid; exec sleep 600" } } });
    const up = pulumi(["up", "--yes", "--target", "**slow"]);
    await expect.poll(() => existsSync(join(project, "slow.pid")), { timeout: 120_000 }).toBe(true);
    const pid = Number(await trace("slow.pid"));
    const interrupted = Date.now();
    up.kill("SIGINT");
    const { exitCode, timedOut, all } = await up;
    expect(timedOut, String(all)).toBe(false);
    expect(exitCode).not.toBe(0);
    expect(Date.now() - interrupted).toBeLessThan(15_000);
    expect(() => process.kill(pid, 0)).toThrow("ESRCH");
    expect(await namesInState()).not.toContain("slow");
  });

  it("deletes with the previous output in the environment", async () => {
    await succeeds("destroy", "--yes");
    expect(await trace("greeting.deleted")).toBe("hello, moon|a warning|moon\n");
    expect(await namesInState()).toEqual([]);
  });
});
