/** The client and the real agent, with a stand-in for the port between them. */
import { createHash, randomBytes } from "node:crypto";
import { mkdir, readFile, readlink, stat, symlink, writeFile } from "node:fs/promises";
import { createConnection, createServer, type Socket } from "node:net";
import { homedir, release } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ExitCode } from "../../../../lab/config/errors.ts";
import { ControlSession } from "../../../../lab/guest/controlSession.ts";
import type { Guest } from "../../../../lab/run/guest.ts";
import { ControlPort, me } from "./controlPort.ts";

// One agent for all: each session begins anew. A test that needs its own takes another port.
let port: ControlPort;
let session: ControlSession;
beforeAll(async () => {
  port = await ControlPort.open();
  await mkdir(join(port.folder, "root/etc/default"), { recursive: true });
  await writeFile(join(port.folder, "root/etc/default/locale"), '#x\nLANG="C.UTF-8"\n');
  port.startAgent();
});
afterAll(() => port.close());
beforeEach(async () => {
  session = await port.session();
});
afterEach(() => port.closeSessions());

const soon = { deadlineMs: 8000 };
const shell = (script: string): string[] => ["sh", "-c", script];
const newMarker = (): string => `9${process.pid}${Math.floor(performance.now() * 1000)}`;

/** Whether a process that holds the marker in its words is there; waits a moment for its end. */
async function left(marker: string): Promise<boolean> {
  for (let look = 0; look < 20; look++) {
    const { stdout } = await execa("pgrep", ["-f", `sleep ${marker}`], { reject: false });
    if (stdout === "") return false;
    await sleep(20);
  }
  return true;
}

describe("running", () => {
  test("words, exit status, both streams and the kernel arrive as they are", async () => {
    const guest: Guest = session;
    const words = ["a b", "", "x\ny", "$HOME", "'", "*", "é"];
    const result = await guest.run(["printf", "%s|", ...words], soon);
    expect(result).toMatchObject({ exitCode: 0, signal: null, stdout: words.join("|") + "|" });
    expect(await guest.run(shell("echo out; echo err >&2; exit 3"), soon)).toMatchObject({
      exitCode: 3,
      stdout: "out\n",
      stderr: "err\n",
    });
    expect(await guest.run(shell("kill -KILL $$"), soon)).toMatchObject({
      exitCode: null,
      signal: "SIGKILL",
    });
    expect(session.kernelRelease).toBe(release());
    expect(port.complaints).toBe("");
  });

  test("the environment is that of a session of the user's, and nothing else", async () => {
    const { stdout } = await session.run(["env"], { ...soon, env: { CASE: "a=b" } });
    const names = stdout.split("\n").map((line) => line.split("=")[0]);
    expect(names.sort().join(" ").trim()).toBe("CASE HOME LANG LOGNAME PATH SHELL USER");
    expect(stdout).toContain("\nLANG=C.UTF-8\n".trimStart());
    expect(stdout).toContain(`USER=${me}\n`);
    expect(stdout).toContain("CASE=a=b\n");
    expect((await session.run(["pwd"], soon)).stdout.trim()).toBe(homedir());
    expect((await session.run(["pwd"], { ...soon, cwd: "/usr" })).stdout).toBe("/usr\n");
    // Python ignores SIGPIPE; a program must not inherit that.
    const pipe = await session.run(shell("grep SigIgn /proc/self/status"), soon);
    expect(pipe.stdout).toMatch(/0000$/m);
  });

  test("what can't be run is a shell's result; an unknown user or folder is an error", async () => {
    expect(await session.run(["no-such-program-here"], soon)).toMatchObject({
      exitCode: 127,
      stderr: "no-such-program-here: No such file or directory\n",
    });
    expect(await session.run(["/etc/passwd"], soon)).toMatchObject({ exitCode: 126 });
    await expect(session.run(["true"], { ...soon, user: "no-such-user" })).rejects.toMatchObject({
      fault: "lost",
      message: expect.stringContaining("no such user: no-such-user") as string,
    });
    await expect(session.run(["true"], { ...soon, cwd: "/no/folder" })).rejects.toThrow(
      "not started: No such file",
    );
    await expect(session.run(["echo", "a\0b"], soon)).rejects.toThrow(TypeError);
  });

  test("whole characters are handed out while the command runs, wherever they were cut", async () => {
    const script = "printf 'one \\303'; sleep 0.1; printf '\\251 two\\n'; sleep 0.1; echo three";
    const chunks: string[] = [];
    await session.run(shell(script), { ...soon, onStdout: (text) => chunks.push(text) });
    expect(chunks.join("")).toBe("one é two\nthree\n");
    expect(chunks.length).toBeGreaterThan(1);
    expect(chunks.join("")).not.toContain("\ufffd");
  });

  test("megabytes of input and output come through whole; the end of the output is kept", async () => {
    const data = randomBytes(3 * 1024 * 1024);
    const hash = createHash("sha256").update(data).digest("hex");
    const [sum, big, tail] = await Promise.all([
      session.run(["sha256sum"], { ...soon, stdin: Readable.from([data]) }),
      session.run(shell("head -c 3000000 /dev/zero | tr '\\0' x"), soon),
      session.run(["seq", "1", "20000"], { ...soon, keep: 100 }),
    ]);
    expect(sum.stdout).toContain(hash);
    expect(big.stdout).toBe("x".repeat(3_000_000));
    expect(tail.stdout.length).toBe(100);
    expect(tail.stdout.endsWith("19999\n20000\n")).toBe(true);
  });

  test("input is closed at its end; a command that doesn't read it holds nothing up", async () => {
    expect(await session.run(["cat"], { ...soon, stdin: "é text" })).toMatchObject({
      stdout: "é text",
    });
    expect(await session.run(["cat"], soon)).toMatchObject({ stdout: "", exitCode: 0 });
    let given = 0;
    const endless = Readable.from(
      (function* () {
        for (;;) {
          given += 100_000;
          yield Buffer.alloc(100_000);
        }
      })(),
      { highWaterMark: 1 },
    );
    const deaf = session.run(["sleep", "0.4"], { ...soon, stdin: endless });
    expect(await session.run(["echo", "meanwhile"], soon)).toMatchObject({
      stdout: "meanwhile\n",
    });
    expect(await deaf).toMatchObject({ exitCode: 0 });
    // The window, the pipe's own 64 KiB, and what the stream reads ahead.
    expect(given).toBeLessThan(1_000_000);
    endless.destroy();
  });

  test("a grandchild that keeps the pipe does not delay the end", async () => {
    const marker = newMarker();
    const result = await session.run(shell(`echo before; setsid sleep ${marker} & echo a`), soon);
    expect(result.stdout).toContain("before\n");
    expect(result.milliseconds).toBeLessThan(1500);
    await execa("pkill", ["-f", `sleep ${marker}`]);
  });
});

describe("ending", () => {
  test.each([
    ["deadline", { deadlineMs: 300 }],
    ["silence", { deadlineMs: 8000, silenceMs: 250 }],
  ] as const)("a passed %s kills what the command started", async (fault, limits) => {
    const marker = newMarker();
    // Also what made a session of its own, as sudo and test suites do, and what ignores SIGTERM.
    const script = `trap '' TERM; echo before; setsid -w sleep ${marker} & sleep ${marker} & wait`;
    await expect(session.run(shell(script), limits)).rejects.toMatchObject({
      fault,
      exitCode: ExitCode.hung,
      message: expect.not.stringContaining("could not be killed") as string,
      output: { stdout: "before\n", stderr: "" },
    });
    expect(await left(marker)).toBe(false);
    expect(await session.run(["true"], soon)).toMatchObject({ exitCode: 0 });
  });

  test("aborting kills the command", async () => {
    const marker = newMarker();
    const signal = AbortSignal.timeout(150);
    await expect(
      session.run(["sleep", marker], { deadlineMs: 8000, signal }),
    ).rejects.toMatchObject({ fault: "cancelled", exitCode: ExitCode.cancelled });
    expect(await left(marker)).toBe(false);
    await expect(session.run(["true"], { ...soon, signal })).rejects.toThrow("before running");
  });

  test("a channel that breaks is lost, with what was printed; a new session ends the old one's commands", async () => {
    const marker = newMarker();
    const running = session.run(shell(`echo before; sleep ${marker}`), {
      ...soon,
      onStdout: () => port.breakOff(),
    });
    await expect(running).rejects.toMatchObject({
      fault: "lost",
      exitCode: ExitCode.infrastructureFailed,
      output: { stdout: "before\n" },
    });
    await expect(session.run(["true"], soon)).rejects.toMatchObject({ fault: "lost" });
    const next = await port.session();
    expect(await left(marker)).toBe(false);
    expect(await next.run(["echo", "new"], soon)).toMatchObject({ stdout: "new\n" });
  });

  test("closing makes running commands fail as lost", async () => {
    const running = session.run(["sleep", "5"], soon);
    session.close();
    session.close();
    await expect(running).rejects.toThrow(/lost .*\(it was closed\)/);
  });
});

describe("connecting", () => {
  test("what a former client left in the port is thrown away, on both sides", async () => {
    const flood = session.run(shell("while :; do echo 0123456789; done"), {
      ...soon,
      onStdout: () => session.close(),
    });
    await expect(flood).rejects.toMatchObject({ fault: "lost" });
    // A client that dies within a line, and one whose line has no end.
    for (const halfLine of ['{"run": 7, "argv": ["tou', "x".repeat(5 * 1024 * 1024)]) {
      const socket = createConnection(port.hostPath);
      await new Promise<void>((done) => void socket.end(halfLine, done));
      await sleep(20);
    }
    const began = performance.now();
    const next = await port.session();
    // The first greeting is understood; after a second comes another.
    expect(performance.now() - began).toBeLessThan(900);
    expect(await next.run(["echo", "clean"], soon)).toMatchObject({ stdout: "clean\n" });
  });

  test("an agent that starts later is waited for; a deadline names what was missing", async () => {
    const other = await ControlPort.open();
    const none = join(other.folder, "none");
    await expect(ControlSession.connect(none, { user: me, deadlineMs: 120 })).rejects.toThrow(
      /nothing listened on .*none within 0.12 s/,
    );
    await expect(other.session(120)).rejects.toMatchObject({
      fault: "deadline",
      exitCode: ExitCode.hung,
      message: expect.stringContaining("agent did not answer") as string,
    });
    const waiting = other.session();
    other.startAgent();
    expect((await waiting).kernelRelease).toBe(release());
    await other.close();
  });

  test("a path that can't be a socket of ours is an error at once; an abort cancels", async () => {
    const file = join(port.folder, "file");
    await writeFile(file, "");
    const signal = AbortSignal.abort();
    await expect(
      ControlSession.connect(file, { user: me, deadlineMs: 900, signal }),
    ).rejects.toMatchObject({ fault: "cancelled" });
    for (const path of [join(file, "x"), join(port.folder, "x".repeat(200))]) {
      await expect(
        ControlSession.connect(path, { user: me, deadlineMs: 900 }),
      ).rejects.toMatchObject({ fault: "refused" });
    }
  });

  test.each([
    ["no JSON", "so what\n"],
    ["no message", '{"exit": 1, "code": "zero"}\n'],
    ["a list", "[]\n"],
    ["a line without an end", "x".repeat(2 * 1024 * 1024)],
  ])("a guest that sends %s is lost", async (_what, bytes) => {
    const path = join(port.folder, "liar.sock");
    const server = createServer((socket: Socket) => {
      socket.on("error", () => undefined);
      socket.once("data", (data: Buffer) => {
        const { hello } = JSON.parse(data.toString().trim()) as { hello: string };
        socket.write(`{"stale": 1}\nhalf\n${JSON.stringify({ hello, agent: 1, kernel: "x" })}\n`);
        socket.once("data", () => void socket.write(bytes));
      });
    }).listen(path);
    const fooled = await ControlSession.connect(path, { user: me, deadlineMs: 2000 });
    await expect(fooled.run(["true"], soon)).rejects.toMatchObject({ fault: "lost" });
    server.close();
  });
});

describe("folders", () => {
  test("modes, symlinks and names are kept", async () => {
    const from = join(port.folder, "from");
    const to = join(port.folder, "to/deep folder");
    await mkdir(join(from, "sub"), { recursive: true });
    await writeFile(join(from, "sub", "a file"), randomBytes(400_000));
    await writeFile(join(from, "run.sh"), "#!/bin/sh\n", { mode: 0o750 });
    await symlink("sub/a file", join(from, "link"));
    await session.uploadFolder(from, to);
    const copy = await readFile(join(to, "sub/a file"));
    expect(copy.equals(await readFile(join(from, "sub/a file")))).toBe(true);
    expect((await stat(join(to, "run.sh"))).mode & 0o777).toBe(0o750);
    expect(await readlink(join(to, "link"))).toBe("sub/a file");
  });

  test("the guest's tar says why it can't", async () => {
    await expect(session.uploadFolder(port.folder, "/dev/null/x")).rejects.toMatchObject({
      fault: "transfer",
    });
    await expect(session.uploadFolder("/no/such/folder", "/tmp/x")).rejects.toThrow(
      "/no/such/folder is not a folder",
    );
  });
});
