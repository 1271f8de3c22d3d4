/**
 * A virtio-serial port as QEMU and the guest's kernel show it: the host's side is a UNIX socket that
 * serves one client at a time, the guest's side stays open, and what one client left unread comes to
 * the next. The real guest/bin/vexlab-agent is on the other side.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ControlSession } from "../../../../lab/guest/controlSession.ts";

const program = fileURLToPath(new URL("../../../../guest/bin/vexlab-agent", import.meta.url));

export const me = userInfo().username;

export class ControlPort {
  private readonly servers: Server[] = [];
  private readonly sessions: ControlSession[] = [];
  /** The first one is served, the others wait in line. */
  private readonly hosts: Socket[] = [];
  private agent: Socket | undefined;
  private process: ChildProcess | undefined;
  /** What the agent said on its standard error. */
  complaints = "";

  private constructor(readonly folder: string) {}

  static async open(): Promise<ControlPort> {
    const port = new ControlPort(await mkdtemp(join(tmpdir(), "vexlab-port-")));
    await port.listen(port.hostPath, (socket) => {
      port.hosts.push(socket.pause());
      if (port.hosts.length === 1) port.couple();
    });
    await port.listen(port.agentPath, (socket) => {
      port.agent = socket.pause();
      port.couple();
    });
    return port;
  }

  get hostPath(): string {
    return join(this.folder, "host.sock");
  }

  get agentPath(): string {
    return join(this.folder, "agent.sock");
  }

  /** @param root stands for / in the identity. */
  startAgent(root = join(this.folder, "root"), env: NodeJS.ProcessEnv = {}): void {
    this.process = spawn("python3", ["-B", "-I", "-S", program, this.agentPath, root], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, ...env },
    });
    this.process.stderr?.on("data", (text: Buffer) => (this.complaints += text.toString()));
  }

  async session(deadlineMs = 5000): Promise<ControlSession> {
    const session = await ControlSession.connect(this.hostPath, { user: me, deadlineMs });
    this.sessions.push(session);
    return session;
  }

  /** As if QEMU had ended. */
  breakOff(): void {
    this.hosts[0]?.destroy();
  }

  closeSessions(): void {
    for (const session of this.sessions.splice(0)) session.close();
  }

  async close(): Promise<void> {
    this.closeSessions();
    for (const server of this.servers) server.close();
    for (const host of this.hosts) host.destroy();
    this.agent?.destroy();
    if (this.process?.exitCode === null) {
      this.process.kill("SIGKILL");
      await once(this.process, "exit");
    }
    await rm(this.folder, { recursive: true, force: true });
  }

  private async listen(path: string, connected: (socket: Socket) => void): Promise<void> {
    const server = createServer(connected).listen(path);
    this.servers.push(server);
    await once(server, "listening");
  }

  private couple(): void {
    const { agent } = this;
    const [host] = this.hosts;
    if (host === undefined || agent === undefined) return;
    const toHost = (data: Buffer): void => {
      if (!host.write(data)) agent.pause();
    };
    agent.on("data", toHost).resume();
    host.on("drain", () => agent.resume());
    host.on("data", (data: Buffer) => agent.write(data));
    host.on("error", () => undefined);
    host.on("end", () => host.destroy());
    host.on("close", () => {
      agent.off("data", toHost).pause();
      this.hosts.shift();
      this.couple();
    });
    host.resume();
  }
}
