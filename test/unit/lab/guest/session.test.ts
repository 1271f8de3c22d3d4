import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer, type AddressInfo, type Server } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { afterEach, describe, expect, test } from "vitest";
import { ExitCode } from "../../../../lab/config/errors.ts";
import { GuestSession } from "../../../../lab/guest/session.ts";
import { startServer, type TestServer, type TestServerOptions } from "./sshServer.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function serve(options: TestServerOptions = {}): Promise<TestServer> {
  const server = await startServer(options);
  cleanups.push(() => server.close());
  return server;
}

async function connected(
  options: TestServerOptions = {},
): Promise<{ session: GuestSession; server: TestServer }> {
  const server = await serve(options);
  const session = await GuestSession.connect(server.address, { deadlineMs: 5000 });
  cleanups.push(() => session.close());
  return { session, server };
}

const soon = { deadlineMs: 8000 };

describe("connecting", () => {
  test("a closed port is told from everything else", async () => {
    const server = await serve();
    await server.close();
    cleanups.pop();
    const again = await serve();
    const address = { ...again.address, port: server.address.port };
    const known = { ...address, knownHostsFile: join(again.folder, "known_hosts") };
    await writeFile(
      known.knownHostsFile,
      `[127.0.0.1]:${address.port} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHCabgKMKwh3OKO7imDfbcSkvfUVoMBoqTRrnC1OFBgY\n`,
    );
    await expect(GuestSession.connect(known, { deadlineMs: 2000 })).rejects.toMatchObject({
      fault: "refused",
      exitCode: ExitCode.infrastructureFailed,
    });
  });

  test.each([
    ["stays silent", false],
    ["hangs up", true],
  ])("a port forward without sshd that %s has no banner", async (_how, hangsUp) => {
    const forward: Server = createServer((socket) => {
      if (hangsUp) setTimeout(() => socket.end(), 50);
    });
    forward.listen(0, "127.0.0.1");
    await once(forward, "listening");
    cleanups.push(() => forward.close());
    const { port } = forward.address() as AddressInfo;
    const server = await serve();
    await writeFile(
      server.address.knownHostsFile,
      `[127.0.0.1]:${port} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHCabgKMKwh3OKO7imDfbcSkvfUVoMBoqTRrnC1OFBgY\n`,
    );
    const began = performance.now();
    await expect(
      GuestSession.connect({ ...server.address, port }, { deadlineMs: 400 }),
    ).rejects.toMatchObject({ fault: "no-banner", exitCode: ExitCode.hung });
    expect(performance.now() - began).toBeLessThan(1500);
  });

  test("a server that stops after its banner is a passed deadline", async () => {
    const half = createServer((socket) => void socket.write("SSH-2.0-half\r\n"));
    half.listen(0, "127.0.0.1");
    await once(half, "listening");
    cleanups.push(() => half.close());
    const { port } = half.address() as AddressInfo;
    const server = await serve();
    await writeFile(
      server.address.knownHostsFile,
      `[127.0.0.1]:${port} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHCabgKMKwh3OKO7imDfbcSkvfUVoMBoqTRrnC1OFBgY\n`,
    );
    await expect(
      GuestSession.connect({ ...server.address, port }, { deadlineMs: 300 }),
    ).rejects.toMatchObject({ fault: "deadline", exitCode: ExitCode.hung });
  });

  test("another host key is an error that names both fingerprints", async () => {
    const server = await serve({ pin: "other" });
    const error: unknown = await GuestSession.connect(server.address, soon).catch(
      (caught: unknown) => caught,
    );
    expect(error).toMatchObject({ fault: "host-key-changed", exitCode: 3 });
    const fingerprints = new Set((error as Error).message.match(/SHA256:[A-Za-z0-9+/]{43}/g));
    expect(fingerprints.size).toBe(2);
  });

  test("an unknown host is never trusted on first use", async () => {
    const server = await serve({ pin: "none" });
    await expect(GuestSession.connect(server.address, soon)).rejects.toMatchObject({
      fault: "host-key-unknown",
    });
    expect(server.connections()).toBe(0);
  });

  test("a refused key names the user and the key's file", async () => {
    const server = await serve({ refuseKey: true });
    await expect(GuestSession.connect(server.address, soon)).rejects.toMatchObject({
      fault: "auth-refused",
      message: expect.stringContaining(server.address.privateKeyFile) as string,
    });
  });

  test("a file that is no key is found before anything is sent", async () => {
    const server = await serve();
    await writeFile(server.address.privateKeyFile, "not a key\n");
    await expect(GuestSession.connect(server.address, soon)).rejects.toMatchObject({
      fault: "auth-refused",
    });
  });

  test("an aborted signal cancels", async () => {
    const server = await serve();
    const signal = AbortSignal.abort();
    await expect(GuestSession.connect(server.address, { ...soon, signal })).rejects.toMatchObject({
      fault: "cancelled",
      exitCode: ExitCode.cancelled,
    });
  });
});

describe("running", () => {
  test("words, exit status and both streams arrive as they are", async () => {
    const { session, server } = await connected();
    const words = ["a b", "", "x\ny", "$HOME", "'", "*", "é"];
    const result = await session.run(["printf", "%s|", ...words], soon);
    expect(result).toMatchObject({ exitCode: 0, signal: null, stdout: words.join("|") + "|" });
    const failing = await session.run(["sh", "-c", "echo out; echo err >&2; exit 3"], soon);
    expect(failing).toMatchObject({ exitCode: 3, stdout: "out\n", stderr: "err\n" });
    expect(server.connections()).toBe(1);
  });

  test("a program that isn't there is a result", async () => {
    const { session } = await connected();
    expect(await session.run(["no-such-program-here"], soon)).toMatchObject({ exitCode: 127 });
  });

  test("a signal that ends the command is named", async () => {
    const { session } = await connected();
    const result = await session.run(["sh", "-c", "kill -KILL $$"], soon);
    expect(result).toMatchObject({ exitCode: null, signal: "SIGKILL" });
  });

  test("output is handed out while the command runs, whole characters at a time", async () => {
    const { session } = await connected();
    const script = "printf 'one \\303'; sleep 0.3; printf '\\251 two\\n'; sleep 0.3; echo three";
    const chunks: { text: string; at: number }[] = [];
    const began = performance.now();
    await session.run(["sh", "-c", script], {
      ...soon,
      onStdout: (text) => chunks.push({ text, at: performance.now() - began }),
    });
    expect(chunks.map(({ text }) => text).join("")).toBe("one é two\nthree\n");
    expect(chunks.some(({ text }) => text.includes("\ufffd"))).toBe(false);
    const first = chunks[0]?.at ?? Infinity;
    const last = chunks.at(-1)?.at ?? 0;
    expect(last - first).toBeGreaterThan(400);
  });

  test("big output and binary input come through whole", async () => {
    const { session } = await connected();
    const data = randomBytes(3 * 1024 * 1024);
    const hash = createHash("sha256").update(data).digest("hex");
    const result = await session.run(["sha256sum"], { ...soon, stdin: Readable.from([data]) });
    expect(result.stdout).toContain(hash);
    const big = await session.run(["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x"], soon);
    expect(big.stdout.length).toBe(3_000_000);
  });

  test("only the end of too much output is kept", async () => {
    const { session } = await connected();
    const result = await session.run(["seq", "1", "20000"], { ...soon, keep: 100 });
    expect(result.stdout.length).toBe(100);
    expect(result.stdout.endsWith("19999\n20000\n")).toBe(true);
  });

  test("text is passed to the command's input, which is closed then", async () => {
    const { session } = await connected();
    expect(await session.run(["cat"], { ...soon, stdin: "some text" })).toMatchObject({
      stdout: "some text",
    });
    expect(await session.run(["cat"], soon)).toMatchObject({ stdout: "", exitCode: 0 });
  });

  test.each([
    ["deadline", { deadlineMs: 600 }],
    ["silence", { deadlineMs: 8000, silenceMs: 500 }],
  ] as const)("a passed %s kills what the command started", async (fault, limits) => {
    const { session } = await connected();
    const marker = `9${process.pid}${Math.floor(performance.now())}`;
    const script = `echo before; sleep ${marker} & sleep ${marker}`;
    await expect(session.run(["sh", "-c", script], limits)).rejects.toMatchObject({
      fault,
      exitCode: ExitCode.hung,
      output: { stdout: "before\n", stderr: "" },
    });
    const left = await execa("pgrep", ["-f", `sleep ${marker}`], { reject: false });
    expect(left.stdout).toBe("");
    // The connection is still good.
    expect(await session.run(["true"], soon)).toMatchObject({ exitCode: 0 });
  });

  test("output keeps a command from being silent", async () => {
    const { session } = await connected();
    const script = "for i in 1 2 3 4 5; do echo $i; sleep 0.2; done";
    const result = await session.run(["sh", "-c", script], { ...soon, silenceMs: 600 });
    expect(result.exitCode).toBe(0);
  });

  test("aborting kills the command", async () => {
    const { session } = await connected();
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 300);
    await expect(
      session.run(["sleep", "60"], { deadlineMs: 8000, signal: abort.signal }),
    ).rejects.toMatchObject({ fault: "cancelled", exitCode: ExitCode.cancelled });
  });

  test("a connection that breaks during a command is lost, with what was printed", async () => {
    const { session, server } = await connected();
    const running = session.run(["sh", "-c", "echo before; sleep 2"], soon);
    setTimeout(() => server.breakConnections(), 400);
    await expect(running).rejects.toMatchObject({
      fault: "lost",
      exitCode: ExitCode.infrastructureFailed,
      output: { stdout: "before\n" },
    });
    await sleep(10);
    await expect(session.run(["true"], soon)).rejects.toMatchObject({ fault: "lost" });
  });

  test("a channel that closes without a status is no success", async () => {
    const { session } = await connected({ onExec: (_command, channel) => void channel.end() });
    await expect(session.run(["true"], soon)).rejects.toMatchObject({ fault: "lost" });
  });

  test("standard error before the shell's announcement is kept", async () => {
    const { session } = await connected({
      onExec: (_command, channel) => {
        channel.stderr.write("motd\n");
        channel.stderr.write("\u0001123\nreal");
        channel.exit(0);
        channel.end();
      },
    });
    expect((await session.run(["true"], soon)).stderr).toBe("motd\nreal");
  });

  test("an argument with a NUL byte is refused", async () => {
    const { session } = await connected();
    await expect(session.run(["echo", "a\0b"], soon)).rejects.toThrow(TypeError);
  });
});

describe("folders", () => {
  test("a folder is copied through the same connection", async () => {
    const { session, server } = await connected();
    const from = join(server.folder, "from");
    const to = join(server.folder, "to/deep folder");
    await execa("mkdir", ["-p", join(from, "sub")]);
    await writeFile(join(from, "sub", "a file"), "text");
    await writeFile(join(from, "run.sh"), "#!/bin/sh\n", { mode: 0o755 });
    await session.uploadFolder(from, to);
    const { stdout } = await execa("diff", ["-r", from, to], { reject: false });
    expect(stdout).toBe("");
    await execa("test", ["-x", join(to, "run.sh")]);
    expect(server.connections()).toBe(1);
  });

  test("a folder that isn't there is named", async () => {
    const { session } = await connected();
    await expect(session.uploadFolder("/no/such/folder", "/tmp/x")).rejects.toMatchObject({
      fault: "transfer",
      message: expect.stringContaining("/no/such/folder is not a folder") as string,
    });
  });
});
