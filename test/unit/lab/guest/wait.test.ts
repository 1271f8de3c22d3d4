import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ExitCode, LabError } from "../../../../lab/config/errors.ts";
import { hostKeysIn } from "../../../../lab/guest/knownHosts.ts";
import { readGuestRecord } from "../../../../lab/guest/record.ts";
import { waitForGuest, type GuestReady, type WaitRequest } from "../../../../lab/guest/wait.ts";
import { silentProgress } from "../../../../lab/report/progress.ts";
import { startServer, type TestServer } from "./sshServer.ts";

const boot = "[    0.000000] Linux version 6.1.0-56-amd64\n[    4.0] Run /init as init process\n";
const panic = "[    5.0] Kernel panic - not syncing: Attempted to kill init! exitcode=0x100\n";

const status = {
  v1: { init: { errors: [], finished: 1020 }, "modules-final": { finished: 1073.6 } },
};
const facts = (mounted = "mounted"): string =>
  `6.1.0-56-amd64\n1000\n${JSON.stringify(status)}\n${mounted}\n`;

let server: TestServer;
let resets = 0;
afterEach(() => server.close());
beforeEach(() => {
  resets = 0;
});

interface Guest {
  request: WaitRequest;
  consoleFile: string;
  ready: (errors?: string[], hostKey?: string) => string;
  wait: (
    more?: Partial<WaitRequest>,
    whenNotRunning?: () => Promise<string | undefined>,
  ) => Promise<GuestReady>;
}

/** @param mount what mount(8) says there */
async function guest(answer = facts(), mount = ""): Promise<Guest> {
  server = await startServer({
    pin: "none",
    onExec: (command, channel) => {
      channel.write(command.includes("sudo") ? mount : answer);
      channel.exit(0);
      channel.end();
    },
  });
  const consoleFile = join(server.folder, "console.log");
  const request: WaitRequest = {
    stackFolder: server.folder,
    address: server.address,
    consoleFile,
    domain: "domain-1",
    libvirtUri: "test:///default",
    deadlineMs: 8000,
  };
  return {
    request,
    consoleFile,
    ready: (errors = [], hostKey = server.hostKey) =>
      `login: \r\nVEXLAB-HOST-KEY ${hostKey}\r\nVEXLAB-READY ${JSON.stringify({ v1: { datasource: "d", errors } })}\r\n`,
    wait: (more = {}, whenNotRunning) =>
      waitForGuest({ ...request, ...more }, silentProgress, {
        reset: () => {
          resets++;
          return Promise.resolve();
        },
        whenNotRunning: (_uri, _domain, signal) =>
          whenNotRunning?.() ??
          new Promise((resolve) => {
            signal.addEventListener("abort", () => resolve(undefined), { once: true });
          }),
      }),
  };
}

const failure = async (waiting: Promise<unknown>): Promise<LabError> => {
  const error: unknown = await waiting.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (!(error instanceof LabError)) throw error;
  return error;
};

describe("a guest that gets ready", () => {
  test("its key is pinned and recorded before anything is sent to it", async () => {
    const { wait, consoleFile, ready, request } = await guest();
    const waiting = wait();
    await writeFile(consoleFile, boot);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(server.connections()).toBe(0);
    await appendFile(consoleFile, ready());
    expect(await waiting).toEqual({
      ready: true,
      hostKey: server.hostKey,
      kernelRelease: "6.1.0-56-amd64",
      bootSeconds: 73.6,
      cloudInit: { status: "done", warnings: [] },
    });
    expect(server.connections()).toBe(1);
    const known = await readFile(request.address.knownHostsFile, "utf8");
    expect(hostKeysIn(known, "127.0.0.1", request.address.port)).toHaveLength(1);
    expect(await readGuestRecord(request.stackFolder)).toMatchObject({
      domain: "domain-1",
      sshPort: request.address.port,
      hostKey: server.hostKey,
    });
  });

  test("a kernel that hangs early is reset once, and the next boot counts", async () => {
    const { wait, consoleFile, ready } = await guest();
    await writeFile(consoleFile, boot);
    const waiting = wait({ deadlineMs: 4_000 });
    await vi.waitFor(() => expect(resets).toBe(1), { timeout: 3_000 });
    await appendFile(consoleFile, boot + ready());
    expect((await waiting).ready).toBe(true);
    expect(resets).toBe(1);
  });

  test("a guest that came to systemd is not reset, however slow", async () => {
    const { wait, consoleFile } = await guest();
    await writeFile(
      consoleFile,
      `${boot}[    9.0] systemd[1]: systemd 252 running in system mode\n`,
    );
    expect((await failure(wait({ deadlineMs: 1_200 }))).exitCode).toBe(ExitCode.hung);
    expect(resets).toBe(0);
  });

  test("what an earlier boot announced does not count", async () => {
    const { wait, consoleFile, ready } = await guest();
    const key = ready().split("VEXLAB-READY")[0] ?? "";
    await writeFile(consoleFile, boot + ready() + boot + key);
    expect((await failure(wait({ deadlineMs: 700 }))).exitCode).toBe(ExitCode.hung);
  });

  test("a line broken by a kernel message is made up for by its repetition", async () => {
    const { wait, consoleFile, ready } = await guest();
    const broken = ready().replaceAll(
      "VEXLAB-HOST-KEY ssh-",
      "VEXLAB-HOST-KEY ssh-[  9.1] eth0 up ",
    );
    await writeFile(consoleFile, boot + broken + ready());
    expect((await wait()).ready).toBe(true);
  });
});

describe("host keys", () => {
  test("the same domain with another key is an error with both fingerprints", async () => {
    const { wait, consoleFile, ready } = await guest();
    await writeFile(consoleFile, boot + ready());
    await wait();
    const other =
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHCabgKMKwh3OKO7imDfbcSkvfUVoMBoqTRrnC1OFBgY";
    await writeFile(consoleFile, boot + ready([], other));
    const error = await failure(wait());
    expect(error).toMatchObject({ fault: "host-key-changed", exitCode: 3 });
    expect(new Set(error.message.match(/SHA256:[\w+/]{43}/g)).size).toBe(2);
    // A domain that was made anew has new keys.
    await writeFile(consoleFile, boot + ready());
    expect((await wait({ domain: "domain-2" })).ready).toBe(true);
  });

  test("something else that listens on the port is not the guest", async () => {
    const { wait, consoleFile, ready, request } = await guest();
    const other =
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHCabgKMKwh3OKO7imDfbcSkvfUVoMBoqTRrnC1OFBgY";
    await writeFile(consoleFile, boot + ready([], other));
    expect(await failure(wait())).toMatchObject({ fault: "host-key-changed" });
    expect(await readGuestRecord(request.stackFolder)).toBeUndefined();
  });
});

describe("a guest that does not get ready", () => {
  test("a panic ends the wait long before the deadline, with the console's words", async () => {
    const { wait, consoleFile } = await guest();
    await writeFile(consoleFile, boot + panic);
    const began = performance.now();
    const error = await failure(wait({ deadlineMs: 60_000 }));
    expect(performance.now() - began).toBeLessThan(5000);
    expect(error.exitCode).toBe(ExitCode.infrastructureFailed);
    expect(error.message).toContain("the kernel panicked: Attempted to kill init!");
    expect(error.message).toContain("| [    5.0] Kernel panic");
    expect(error.next).toContain(consoleFile);
  });

  test("the deadline says how far the guest came", async () => {
    const { wait, consoleFile } = await guest();
    await writeFile(consoleFile, boot);
    const error = await failure(wait({ deadlineMs: 600 }));
    expect(error.exitCode).toBe(ExitCode.hung);
    expect(error.message).toMatch(
      /^the guest is not ready after 0\.6 s: the guest has not come further than initrd/,
    );
  });

  test("a console that never appears is named", async () => {
    const { wait } = await guest();
    const error = await failure(wait({ deadlineMs: 400 }));
    expect(error.message).toContain("the guest has printed nothing on its console");
  });

  test("a domain that does not run is said at once", async () => {
    const { wait, consoleFile } = await guest();
    await writeFile(consoleFile, boot);
    const gone = (): Promise<string> => Promise.resolve("libvirt says that the domain is shut off");
    const began = performance.now();
    const error = await failure(wait({ deadlineMs: 60_000 }, gone));
    expect(performance.now() - began).toBeLessThan(3000);
    expect(error.exitCode).toBe(ExitCode.infrastructureFailed);
    expect(error.message).toContain("is shut off: the guest has not come further than initrd");
  });

  test("errors of cloud-init are no readiness", async () => {
    const { wait, consoleFile, ready } = await guest();
    const oom = "[  170.6] Out of memory: Killed process 283 (tail) total-vm:374360kB\n";
    await writeFile(consoleFile, boot + oom + ready(["('scripts_user', RuntimeError('runcmd'))"]));
    const error = await failure(wait());
    expect(error.message).toContain("the guest ran out of memory and killed tail");
    expect(error.exitCode).toBe(ExitCode.infrastructureFailed);
    expect(error.message).toContain("scripts_user");
  });

  test("neither is a share that is not mounted", async () => {
    const { wait, consoleFile, ready } = await guest(facts("missing"), "mount: bad\ntag\n");
    await writeFile(consoleFile, boot + ready());
    expect((await failure(wait())).message).toContain("mount: bad tag");
  });

  test("nor a port where nothing listens", async () => {
    const { wait, consoleFile, ready, request } = await guest();
    await writeFile(consoleFile, boot + ready());
    const address = { ...request.address, port: 1 };
    const error = await failure(wait({ deadlineMs: 1200, address }));
    expect(error).toMatchObject({ fault: "refused" });
  });
});
