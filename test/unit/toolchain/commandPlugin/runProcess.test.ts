import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { ProcessGroups } from "../../../../toolchain/command-plugin/processGroups.ts";
import {
  runProcess,
  terminationGrace,
  type ProcessOrder,
} from "../../../../toolchain/command-plugin/runProcess.ts";

const sources = join(
  dirname(fileURLToPath(import.meta.url)),
  "../../../../toolchain/command-plugin",
);
const groups = new ProcessGroups(sources);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-run-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function order(
  command: string,
  changes: Partial<ProcessOrder> = {},
): ProcessOrder & { seen: string[] } {
  const seen: string[] = [];
  return {
    interpreter: ["/bin/sh", "-c"],
    command,
    folder,
    environment: { PATH: process.env["PATH"] ?? "", GIVEN: "given" },
    stdin: "",
    logged: { stdout: true, stderr: true },
    lines: { write: (line) => seen.push(line) > 0, once: () => undefined },
    groups,
    signal: new AbortController().signal,
    seen,
    ...changes,
  };
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const pidIn = async (name: string) => Number(await readFile(join(folder, name), "utf8"));

async function waitFor<T>(what: () => Promise<T> | T): Promise<NonNullable<T>> {
  for (const end = Date.now() + 5000; Date.now() < end;) {
    const value = await Promise.resolve()
      .then(what)
      .catch(() => undefined);
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`waited 5 s in vain for ${String(what)}`);
}

describe("runProcess", () => {
  it("gives both outputs, each without one line feed at its end", async () => {
    const output = await runProcess(order("printf 'a\\n\\n'; printf 'b' >&2"));
    expect(output).toEqual({ stdout: "a\n", stderr: "b" });
  });

  it("runs with the environment, folder and input it is given, and no other environment", async () => {
    const output = await runProcess(order('echo "$GIVEN $HOME."; pwd -P; cat', { stdin: "fed" }));
    expect(output.stdout).toBe(`given .\n${folder}\nfed`);
  });

  it("has an empty input when none is given, and minds no input that isn't read", async () => {
    expect((await runProcess(order("cat; echo end"))).stdout).toBe("end");
    const stdin = "x".repeat(1 << 20);
    expect((await runProcess(order("exec 0<&-; echo end", { stdin }))).stdout).toBe("end");
  });

  it("hands lines on while the command runs", async () => {
    const run = order("echo first; until [ -e go ]; do sleep 0.02; done; echo second");
    const ended = runProcess(run);
    await waitFor(() => run.seen.includes("first"));
    expect(run.seen).toEqual(["first"]);
    await writeFile(join(folder, "go"), "");
    await ended;
    expect(run.seen).toEqual(["first", "second"]);
  });

  it("logs only the streams it should", async () => {
    const run = order("echo a; echo b >&2", { logged: { stdout: false, stderr: true } });
    expect(await runProcess(run)).toEqual({ stdout: "a", stderr: "b" });
    expect(run.seen).toEqual(["b"]);
  });

  it("waits with reading while the sink is full", async () => {
    const listeners: (() => void)[] = [];
    const seen: string[] = [];
    const lines = {
      write: (line: string) => {
        seen.push(line);
        return false;
      },
      once: (_: "drain", listener: () => void) => listeners.push(listener),
    };
    let ended = false;
    const run = runProcess(order("yes | head -n 400000", { lines })).then((output) => {
      ended = true;
      return output;
    });
    await waitFor(() => listeners.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(ended).toBe(false);
    expect(seen.length).toBeLessThan(400_000);
    const drain = setInterval(() => listeners.splice(0).forEach((listener) => listener()), 1);
    const { stdout } = await run.finally(() => clearInterval(drain));
    expect(stdout.length).toBe(800_000 - 1);
    expect(seen.length).toBe(400_000);
  });

  it("gives 10 MB of output whole", async () => {
    const { stdout } = await runProcess(order("head -c 10000000 /dev/zero | tr '\\0' x"));
    expect(stdout.length).toBe(10_000_000);
  });

  it("gives bytes that are no UTF-8 as replacement characters", async () => {
    expect((await runProcess(order("printf '\\377\\000ok'"))).stdout).toBe("\ufffd\0ok");
  });

  it("fails with the exit status, the command and all output in its order", async () => {
    const command = "echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three; exit 9";
    await expect(runProcess(order(command))).rejects.toThrow(
      `exit status 9: running "${command}":\none\ntwo\nthree\n`,
    );
  });

  it("does not show a secret command", async () => {
    const failed = runProcess(order("exit 1 # hidden", { shownCommand: "[secret]" }));
    await expect(failed).rejects.toThrow('exit status 1: running "[secret]":');
  });

  it.each([
    ["no-such-program-x", 'exec: "no-such-program-x": executable file not found in $PATH'],
    ["./no-such", "fork/exec ./no-such: no such file or directory"],
  ])("names the interpreter %s that can't be started", async (program, message) => {
    await expect(runProcess(order("x", { interpreter: [program] }))).rejects.toThrow(message);
  });

  it("names a folder that isn't there, and arguments that are too long", async () => {
    const missing = join(folder, "missing");
    await expect(runProcess(order("x", { folder: missing }))).rejects.toThrow(
      `chdir ${missing}: no such file or directory: running "x"`,
    );
    const environment = { LONG: "x".repeat(200_000) };
    await expect(runProcess(order("x", { environment }))).rejects.toThrow(
      "fork/exec /bin/sh: argument list too long",
    );
  });

  it("takes a relative interpreter from the command's folder, a name from the plugin's PATH", async () => {
    await writeFile(join(folder, "tool"), '#!/bin/sh\necho "tool $*"\n', { mode: 0o755 });
    const relative = order("x y", { interpreter: ["./tool", "a"] });
    expect((await runProcess(relative)).stdout).toBe("tool a x y");
    const named = order("1 + 1", { interpreter: ["node", "-p"], environment: {} });
    expect((await runProcess(named)).stdout).toBe("2");
  });

  it("lets a process in the background live on when it holds no output", async () => {
    await runProcess(order("sleep 60 >/dev/null 2>&1 & echo $! > child"));
    const child = await pidIn("child");
    expect(alive(child)).toBe(true);
    process.kill(child);
  });

  it("ends the whole process group when cancelled", async () => {
    const cancelling = new AbortController();
    const run = runProcess(
      order("sleep 600 & echo $! > child; sleep 600; echo not reached", {
        signal: cancelling.signal,
      }),
    );
    const child = await waitFor(() => pidIn("child"));
    cancelling.abort();
    await expect(run).rejects.toThrow("signal: terminated: running");
    await waitFor(() => !alive(child));
  });

  it("ends what ignores being asked, and does not wait for what has left the group", async () => {
    const cancelling = new AbortController();
    const command = `trap '' TERM; setsid sleep 5 & echo $$ > self; while :; do sleep 0.1; done`;
    const run = runProcess(order(command, { signal: cancelling.signal }));
    const self = await waitFor(() => pidIn("self"));
    const before = Date.now();
    cancelling.abort();
    await expect(run).rejects.toThrow("signal: killed");
    expect(Date.now() - before).toBeLessThan(terminationGrace + 2000);
    expect(alive(self)).toBe(false);
  });

  it("starts nothing once cancelled", async () => {
    const run = runProcess(order("touch started", { signal: AbortSignal.abort() }));
    await expect(run).rejects.toThrow("context canceled");
    await expect(readFile(join(folder, "started"))).rejects.toThrow("ENOENT");
  });
});

describe("the watchdog", () => {
  it("ends the groups that are running, and only those, when the plugin dies", async () => {
    const sleeper = () => spawn("sleep", ["60"], { detached: true, stdio: "ignore" });
    const [running, finished] = [sleeper(), sleeper()];
    const watchdog = spawn("/bin/sh", [join(sources, "watchdog.sh")], {
      stdio: ["pipe", "ignore", "inherit"],
    });
    watchdog.stdin.write(`add ${finished.pid}\nadd ${running.pid}\ndrop ${finished.pid}\n`);
    const ended = once(running, "exit");
    watchdog.stdin.end();
    expect(await ended).toEqual([null, "SIGTERM"]);
    await once(watchdog, "exit");
    expect(alive(finished.pid ?? 0)).toBe(true);
    finished.kill();
  });
});
