import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { faultFileVariable } from "../../../lab/config/programFault.ts";
import { endOrphan, endRemains, orphansOf } from "../../../toolchain/orphan.ts";

const children: ChildProcess[] = [];
let checkout: string;

beforeEach(() => {
  checkout = realpathSync(mkdtempSync(join(tmpdir(), "vexlab-orphan-")));
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(checkout, { recursive: true });
});

const byVexlab = { [faultFileVariable]: "/tmp/fault.json" };

/** A program in a group of its own that has begun, named and called as Pulumi is. */
async function started(
  words: readonly string[],
  variables: Readonly<Record<string, string>> = byVexlab,
  onInterrupt = "exit 7",
): Promise<ChildProcess> {
  // A child of its own would look the same until it has begun another program.
  const script = `trap '${onInterrupt}' INT; echo ready; while :; do read -r -t 0.05; done`;
  const child = spawn("bash", ["-c", script, ...words], {
    ...{ detached: true, stdio: ["pipe", "pipe", "ignore"], cwd: checkout, argv0: "pulumi" },
    env: { PATH: process.env["PATH"], ...variables },
  });
  children.push(child);
  await once(child.stdout, "data");
  return child;
}

const up = ["up", "--yes", "--stack", "dev", "--non-interactive"];

describe("a Pulumi whose vexlab has gone", () => {
  it("is told from that of another stack or state, a preview, and one that the user runs", async () => {
    const one = await started(up);
    const other = await started(["destroy", "--stack", "dev"]);
    await started(["up", "--stack", "developer"]);
    await started(["preview", "--stack", "dev"]);
    await started(["preview", "--stack", "up"]);
    await started(up, { OTHER: `${faultFileVariable}=` });
    const found = await orphansOf("/tmp", "dev");
    expect(found.toSorted()).toEqual([one.pid, other.pid].toSorted());
    expect(await orphansOf("/elsewhere", "dev")).toEqual([]);
  });

  it("is asked to end, and given the time for it", async () => {
    const child = await started(up, byVexlab, "sleep 0.3; exit 7");
    expect(await endOrphan(child.pid ?? 0, 5000)).toBe(true);
    await vi.waitFor(() => expect(child.exitCode).toBe(7));
  });

  it("is killed when it does not", async () => {
    const child = await started(up, byVexlab, ":");
    expect(await endOrphan(child.pid ?? 0, 200)).toBe(true);
    await vi.waitFor(() => expect(child.signalCode).toBe("SIGKILL"));
  });

  it("and has died itself leaves nothing, but for what leads a session of its own", async () => {
    // As `bash` starts one: $! is the number of what it has left.
    const script = (start: string): string => `${start} sleep 60 & echo $!; exec sleep 0.2`;
    const leave = async (start: string, folder: string): Promise<number> => {
      const child = spawn("bash", ["-c", script(start)], {
        ...{ detached: true, stdio: ["ignore", "pipe", "ignore"] },
        env: { PATH: process.env["PATH"], [faultFileVariable]: `${folder}/7.json` },
      });
      const [said] = (await once(child.stdout, "data")) as [Buffer];
      await once(child, "exit");
      return Number(said.toString());
    };
    const left = await leave("", checkout);
    const [leader, other] = [await leave("setsid", checkout), await leave("", `${checkout}-other`)];
    const running = spawn("sleep", ["60"], {
      ...{ detached: true, stdio: "ignore", env: { [faultFileVariable]: `${checkout}/8.json` } },
    });
    children.push(running);
    expect(await endRemains(checkout)).toEqual([left]);
    await vi.waitFor(() => expect(() => process.kill(left, 0)).toThrow(), { timeout: 5000 });
    for (const pid of [leader, other]) process.kill(pid, "SIGKILL");
  });

  it("may have ended already", async () => {
    const child = await started(up);
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(await endOrphan(child.pid ?? 0, 200)).toBe(true);
  });
});
