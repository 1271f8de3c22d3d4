/** A real SSH server in this process, whose commands are run by the host's own shell. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { AddressInfo, Server, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ssh2, { type Connection, type ServerChannel } from "ssh2";
import { makeKeyPair } from "../../../../lab/guest/ed25519.ts";
import { pinHostKeys, parseHostKey } from "../../../../lab/guest/knownHosts.ts";
import type { GuestAddress } from "../../../../lab/guest/session.ts";

export interface TestServer {
  readonly address: GuestAddress;
  readonly folder: string;
  /** The server's own public key: `ssh-ed25519 AAAA…`. */
  readonly hostKey: string;
  /** Handshakes begun. */
  connections(): number;
  /** Breaks all connections off without a word. */
  breakConnections(): void;
  close(): Promise<void>;
}

export interface TestServerOptions {
  /** Takes the place of running the command. */
  onExec?(command: string, channel: ServerChannel): void;
  readonly refuseKey?: boolean;
  /** Which key the client has pinned: the server's or another. */
  readonly pin?: "server" | "other" | "none";
}

export async function startServer(options: TestServerOptions = {}): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), "vexlab-ssh-"));
  const host = makeKeyPair("test");
  const other = makeKeyPair("test");
  const client = makeKeyPair("test");
  const privateKeyFile = join(folder, "id_ed25519");
  const knownHostsFile = join(folder, "known_hosts");
  await writeFile(privateKeyFile, client.privateKey, { mode: 0o600 });

  const sockets = new Set<Socket>();
  let connections = 0;
  const server = new ssh2.Server({ hostKeys: [host.privateKey] }, (connection: Connection) => {
    connections++;
    connection.on("error", () => undefined);
    connection.on("authentication", (context) => {
      if (context.method === "publickey" && options.refuseKey !== true) context.accept();
      else context.reject(["publickey"]);
    });
    connection.on("session", (accept) => {
      const session = accept();
      session.on("exec", (acceptExec, _reject, info) => {
        const channel = acceptExec();
        if (options.onExec && !info.command.includes("pkill")) {
          options.onExec(info.command, channel);
        } else runInShell(info.command, channel);
      });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // The sockets themselves, to break them: ssh2's server is a wrapper around a net.Server.
  (server as unknown as { _srv: Server })._srv.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  const { port } = server.address() as AddressInfo;
  const pinned = { server: host.publicKey, other: other.publicKey, none: undefined }[
    options.pin ?? "server"
  ];
  const key = pinned === undefined ? undefined : parseHostKey(pinned);
  if (key !== undefined) await pinHostKeys(knownHostsFile, port, [key]);

  return {
    address: { host: "127.0.0.1", port, user: "vexfs", privateKeyFile, knownHostsFile },
    folder,
    hostKey: host.publicKey.split(" ").slice(0, 2).join(" "),
    connections: () => connections,
    breakConnections: () => sockets.forEach((socket) => socket.destroy()),
    close: async () => {
      sockets.forEach((socket) => socket.destroy());
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

// As sshd does it: `sh -c`, leading a session of its own.
function runInShell(command: string, channel: ServerChannel): void {
  const child = spawn("/bin/sh", ["-c", command], { detached: true });
  channel.pipe(child.stdin);
  child.stdin.on("error", () => undefined);
  child.stdout.pipe(channel, { end: false });
  child.stderr.pipe(channel.stderr, { end: false });
  child.on("close", (code, signal) => {
    if (signal !== null) channel.exit(signal.replace(/^SIG/, ""));
    else channel.exit(code ?? 255);
    channel.end();
  });
}
