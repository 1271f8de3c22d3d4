/**
 * The private libvirt session daemon of one checkout.
 *
 * The provider dials a socket and never starts the daemon, and a session daemon's usual socket is
 * under XDG_RUNTIME_DIR, which differs between logins and vanishes with the last one. So vexlab runs
 * a session daemon of its own on a stable socket, apart from whatever libvirt the user runs.
 *
 * libvirtd decides by its user id whether it is the system's daemon. Root therefore runs it in a
 * user namespace that maps root to an ordinary id: the same session daemon for everyone, and QEMU
 * without root's capabilities. Options and files: libvirtd(8), qemu.conf of libvirt.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, open, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import writeFileAtomic from "write-file-atomic";
import { ExitCode, LabError } from "../config/errors.ts";
import { daemonFolder } from "../config/places.ts";
import { accepts } from "./listener.ts";

/*
 * A guest may print for ever, and QEMU would write it all: so its serial console, and QEMU's own log,
 * are pipes to virtlogd, which libvirtd starts when a guest needs it and which ends after the last one.
 */
const qemuConf = `\
stdio_handler = "logd"
seccomp_sandbox = 1
security_driver = "none"
`;

/** A file of virtlogd's that is full becomes FILE.0, in the place of the one before it. */
export const fullLogBytes = 2 * 1024 * 1024;

const virtlogdConf = `\
max_size = ${fullLogBytes}
max_backups = 1
`;

const START_DEADLINE_MS = 30_000;
const STOP_DEADLINE_MS = 15_000;

/** sun_path holds 108 bytes with its terminating zero (unix(7)). */
const SOCKET_PATH_BYTES = 107;
/** What libvirt appends to its configuration folder for a monitor's socket, at its longest. */
const MONITOR_SUFFIX = "/libvirt/qemu/lib/domain-999-vexlab-twenty-chars/monitor.sock";

/**
 * The daemon's socket in its run folder. The provider's message for a daemon that does not run is
 * this path and little more, and no code of ours runs in plain `pulumi refresh`: so the path says
 * which command helps.
 */
export function daemonSocket(folder: string): string {
  return join(socketFolder(folder), "libvirt-sock");
}

function socketFolder(folder: string): string {
  return join(folder, "npm-run-recover");
}

/**
 * Starts the daemon unless it already answers.
 * Throws LabError (infrastructure failed) when it cannot be started within 30 s.
 */
export async function startDaemon(folder: string = daemonFolder()): Promise<{ started: boolean }> {
  checkPathLength(folder);
  if (await accepts({ path: daemonSocket(folder) })) return { started: false };
  for (const part of [socketFolder(folder), join(folder, "libvirt"), join(folder, "runtime")]) {
    await mkdir(part, { recursive: true, mode: 0o700 });
  }
  await writeFileAtomic(
    join(folder, "libvirtd.conf"),
    `unix_sock_dir = "${socketFolder(folder)}"\nlog_outputs = "3:file:${folder}/libvirtd.log"\n`,
  );
  await writeFileAtomic(join(folder, "libvirt", "qemu.conf"), qemuConf);
  await writeFileAtomic(join(folder, "libvirt", "virtlogd.conf"), virtlogdConf);
  const asOrdinaryUser =
    process.getuid?.() === 0
      ? ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]
      : [];
  const argv = [
    ...(await reaper()),
    ...asOrdinaryUser,
    ...["libvirtd", "--config", join(folder, "libvirtd.conf"), "--pid-file", pidFile(folder)],
  ];
  const log = await open(join(folder, "libvirtd.log"), "a", 0o600);
  try {
    const daemon = spawn(argv[0] ?? "", argv.slice(1), {
      env: {
        ...process.env,
        XDG_RUNTIME_DIR: join(folder, "runtime"),
        XDG_CONFIG_HOME: folder,
        // Probing what QEMU can do takes 7 s where KVM is broken: kept over the daemon's life.
        XDG_CACHE_HOME: dirname(dirname(folder)),
        XDG_DATA_HOME: join(folder, "data"),
        XDG_STATE_HOME: join(folder, "state"),
      },
      cwd: "/",
      stdio: ["ignore", "ignore", log.fd],
      detached: true,
    });
    daemon.unref();
    await answered(folder, daemon);
  } finally {
    await log.close();
  }
  return { started: true };
}

/**
 * Waits until the daemon answers: this one, or that of another start at the same time, whose lock on
 * the pid file ends this one.
 */
async function answered(folder: string, daemon: ChildProcess): Promise<void> {
  let ended: string | undefined;
  daemon.once("error", (error) => (ended = error.message));
  daemon.once("exit", (code, signal) => (ended = `it ended with ${code ?? signal ?? "an error"}`));
  const deadline = Date.now() + START_DEADLINE_MS;
  while (!(await accepts({ path: daemonSocket(folder) }))) {
    const gone = ended !== undefined && (await runningPid(folder)) === undefined;
    if (gone || Date.now() > deadline) {
      throw new LabError(
        `libvirtd did not answer on ${daemonSocket(folder)}: ${ended ?? `not within ${START_DEADLINE_MS / 1000} s`}`,
        ExitCode.infrastructureFailed,
        `See ${folder}/libvirtd.log; is the package libvirt-daemon-system installed?`,
      );
    }
    await sleep(10);
  }
}

/**
 * A parent for the daemon that collects ended QEMUs at once (PR_SET_CHILD_SUBREAPER). libvirt waits
 * until a guest's process has vanished, and the first process of a container may take seconds to
 * collect it. Without tini all works, only slower there.
 */
async function reaper(): Promise<readonly string[]> {
  const found = await execa("tini", ["--version"], { stdin: "ignore", reject: false });
  return found.exitCode === 0 ? ["tini", "-s", "--"] : [];
}

/**
 * Stops the daemon and removes its run folder. The caller makes sure that no stack needs it.
 * Throws LabError when it does not end within 15 s.
 */
export async function stopDaemon(folder: string = daemonFolder()): Promise<{ stopped: boolean }> {
  const pid = await runningPid(folder);
  if (pid !== undefined) {
    process.kill(pid, "SIGTERM");
    const deadline = Date.now() + STOP_DEADLINE_MS;
    while ((await runningPid(folder)) !== undefined) {
      if (Date.now() > deadline) {
        throw new LabError(
          `libvirtd (process ${pid}) did not end within ${STOP_DEADLINE_MS / 1000} s of SIGTERM`,
          ExitCode.infrastructureFailed,
          `End it by hand: kill -9 ${pid}`,
        );
      }
      await sleep(50);
    }
  }
  await stopLogDaemon(folder);
  await rm(folder, { recursive: true, force: true });
  return { stopped: pid !== undefined };
}

/** Ends the virtlogd that libvirtd has started; without guests it would end by itself, but later. */
async function stopLogDaemon(folder: string): Promise<void> {
  const runtime = join(folder, "runtime");
  try {
    const pid = Number(await readFile(join(runtime, "libvirt", "virtlogd.pid"), "utf8"));
    const environment = await readFile(`/proc/${pid}/environ`, "utf8");
    // The pid file may be of a former boot.
    if (environment.split("\0").includes(`XDG_RUNTIME_DIR=${runtime}`))
      process.kill(pid, "SIGTERM");
  } catch {
    // It doesn't run.
  }
}

/** The daemon's process id; undefined when it does not run (the pid file may be of a former boot). */
async function runningPid(folder: string): Promise<number | undefined> {
  try {
    const pid = Number((await readFile(pidFile(folder), "utf8")).trim());
    const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8");
    return commandLine.includes(pidFile(folder)) ? pid : undefined;
  } catch {
    return undefined;
  }
}

function pidFile(folder: string): string {
  return join(folder, "libvirtd.pid");
}

function checkPathLength(folder: string): void {
  const longest = Buffer.byteLength(folder) + MONITOR_SUFFIX.length;
  if (longest <= SOCKET_PATH_BYTES) return;
  throw new LabError(
    `the run folder ${folder} is too long for libvirt's sockets: they would have ${longest} bytes, ${SOCKET_PATH_BYTES} are allowed`,
    ExitCode.usage,
    "Set VEXLAB_CACHE_DIR to a folder with a shorter path.",
  );
}
