/** Ports of 127.0.0.1 for guests that run side by side. */
import { createServer } from "node:net";
import { ExitCode, LabError } from "../lab/config/errors.ts";

/** Below the ports that the kernel gives to connections (ip_local_port_range), above most services. */
export const firstPort = 22_200;
const lastPort = 65_535;

/** Whether nobody listens on it now. */
function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () =>
      server.close(() => resolve(true)),
    );
  });
}

/** Gives each taker another port. */
export class Ports {
  private readonly taken = new Set<number>();
  private last = Promise.resolve(0);

  constructor(private readonly first = firstPort) {}

  /** A port that nobody listens on. @throws LabError (exit 3) when there is none */
  take(): Promise<number> {
    // One after the other, or two would find the same.
    this.last = this.last.catch(() => 0).then(() => this.next());
    return this.last;
  }

  giveBack(port: number): void {
    this.taken.delete(port);
  }

  private async next(): Promise<number> {
    for (let port = this.first; port <= lastPort; port++) {
      if (this.taken.has(port) || !(await isFree(port))) continue;
      this.taken.add(port);
      return port;
    }
    throw new LabError(
      `no port from ${this.first} to ${lastPort} of 127.0.0.1 is free for a guest`,
      ExitCode.infrastructureFailed,
      "Choose another --first-port.",
    );
  }
}
