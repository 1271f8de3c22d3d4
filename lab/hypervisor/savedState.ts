/**
 * Saving a guest's devices and processors to a file, and resuming them from it, by QEMU's migration
 * over a UNIX socket. The memory is a file of its own that both sides map (x-ignore-shared), so the
 * stream is less than two megabytes.
 *
 * Sources: QEMU's docs/devel/migration and QMP reference (migrate, migrate-incoming, query-migrate).
 * HMP's `migrate exec:` is forbidden by libvirt's sandbox; a path of a UNIX socket has at most 107
 * bytes (unix(7)), so sockets are made in a folder with a short path.
 */
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { open, rm } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { ExitCode, LabError } from "../config/errors.ts";
import { monitorEach, type MonitorCommand } from "./monitor.ts";

const pollMs = 20;
const deadlineMs = 30_000;

interface Migration {
  readonly status?: string;
  readonly "error-desc"?: string;
}

/**
 * Stops a domain whose memory is a shared file, and writes the rest of its state to a file.
 * @param sockets a folder with a short path
 * @throws LabError when QEMU can't save, or not within 30 s; the file is then incomplete.
 */
export async function saveState(
  uri: string,
  domain: string,
  file: string,
  sockets: string,
): Promise<void> {
  const path = socketPath(sockets);
  const server = createServer();
  server.listen(path);
  await once(server, "listening");
  const output = await open(file, "wx");
  try {
    const written = (async () => {
      const [socket] = (await once(server, "connection")) as [Socket];
      await pipeline(socket, output.createWriteStream({ flush: true }));
    })();
    written.catch(() => undefined);
    const migrate = ["migrate", { uri: `unix:${path}` }] as const;
    await monitorEach(uri, domain, [["stop"], ignoreShared, migrate]);
    await completed(uri, domain, "saving the state of", []);
    await within(written, `reading the state of ${domain}`);
  } finally {
    server.close();
    await output.close().catch(() => undefined);
    await rm(path, { force: true });
  }
}

/**
 * Gives a domain that was started with `-incoming defer` its state, and lets it run.
 * @throws LabError when QEMU can't take it, or not within 30 s
 */
export async function loadState(
  uri: string,
  domain: string,
  file: string,
  sockets: string,
): Promise<void> {
  const path = socketPath(sockets);
  try {
    const incoming = ["migrate-incoming", { uri: `unix:${path}` }] as const;
    await monitorEach(uri, domain, [ignoreShared, incoming]);
    const socket = connect(path);
    await once(socket, "connect");
    // QEMU hangs up when it has read the state's last byte, often before this side has noticed that
    // it sent it; only QEMU knows whether it took the state.
    const sent = pipeline(createReadStream(file), socket).catch(() => undefined);
    try {
      await within(sent, `giving ${domain} its state`);
      // Before the state has been taken, `cont` only says that the guest may run then; the state is
      // that of a stopped guest, so it would not.
      await completed(uri, domain, "resuming", [["cont"]]);
    } finally {
      socket.destroy();
    }
  } finally {
    await rm(path, { force: true });
  }
}

function socketPath(folder: string): string {
  return join(folder, `state-${randomBytes(4).toString("hex")}.sock`);
}

const ignoreShared: MonitorCommand = [
  "migrate-set-capabilities",
  { capabilities: [{ capability: "x-ignore-shared", state: true }] },
];

/** @param then what is done as soon as the migration is completed; harmless before */
async function completed(
  uri: string,
  domain: string,
  what: string,
  then: readonly MonitorCommand[],
): Promise<void> {
  const until = performance.now() + deadlineMs;
  for (;;) {
    const [answer] = await monitorEach(uri, domain, [["query-migrate"], ...then]);
    const { status, ...rest } = answer as Migration;
    if (status === "completed") return;
    if (status === "failed" || status === "cancelled" || performance.now() > until) {
      const why = rest["error-desc"] ?? `its migration is ${status ?? "not begun"}`;
      throw new LabError(`${what} ${domain} failed: ${why}`, ExitCode.infrastructureFailed);
    }
    await sleep(pollMs);
  }
}

async function within(work: Promise<unknown>, what: string): Promise<void> {
  const timer = new AbortController();
  const late = sleep(deadlineMs, undefined, { signal: timer.signal }).then(() => {
    throw new LabError(
      `${what} took more than ${deadlineMs / 1000} s`,
      ExitCode.infrastructureFailed,
    );
  });
  late.catch(() => undefined);
  try {
    await Promise.race([work, late]);
  } finally {
    timer.abort();
  }
}
