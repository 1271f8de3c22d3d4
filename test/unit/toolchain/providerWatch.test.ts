import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { appendFile, copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { providerLimit, ProviderWatch } from "../../../toolchain/providerWatch.ts";

let folder: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-provider-"));
});

afterEach(async () => {
  for (const { pid } of children.splice(0)) {
    try {
      if (pid !== undefined) process.kill(-pid, "SIGKILL");
    } catch {
      // All of it has ended.
    }
  }
  await rm(folder, { recursive: true });
});

/** A Pulumi in a session of its own, with a provider; their numbers. */
async function started(
  program = "terraform-provider-libvirt_v1",
): Promise<{ readonly pulumi: number; readonly provider: ChildProcess }> {
  const copy = join(folder, program);
  await copyFile("/bin/sleep", copy);
  const script = '"$1" 60 & echo $!; wait';
  const pulumi = spawn("bash", ["-c", script, "pulumi", copy], {
    ...{ detached: true, stdio: ["ignore", "pipe", "ignore"] },
  });
  children.push(pulumi);
  await once(pulumi.stdout, "data");
  return { pulumi: pulumi.pid ?? 0, provider: pulumi };
}

const begins = JSON.stringify({
  resourcePreEvent: {
    metadata: { op: "create", urn: "urn::a::b::iso", type: "libvirt:index/volume:Volume" },
  },
});
const killed = "the libvirt provider did not end create of iso within 0.2 s";

describe("a libvirt provider that hangs", () => {
  it("is killed when its operation, read from Pulumi's file, takes too long", async () => {
    const { pulumi, provider } = await started();
    const say = vi.fn<(text: string) => void>();
    const watch = new ProviderWatch(200, say);
    const end = new AbortController();
    const log = join(folder, "events");
    const followed = watch.follow(log, end.signal);
    watch.begin(pulumi);
    await writeFile(log, begins.slice(0, 30));
    await appendFile(log, `${begins.slice(30)}\n`);
    await vi.waitFor(() => expect(watch.stalled).toBe(killed), { timeout: 5000 });
    await vi.waitFor(() => expect(provider.exitCode).not.toBeNull());
    expect(say.mock.calls).toEqual([[`${killed}: it is killed`]]);
    end.abort();
    await followed;
    watch.end();
  });

  it("is left alone in another session, and so is another program in this one", async () => {
    const other = await started();
    const own = await started("another-program");
    const watch = new ProviderWatch(100, () => undefined);
    watch.take(JSON.parse(begins));
    watch.begin(own.pulumi);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(watch.stalled).toBeUndefined();
    expect([other.provider.exitCode, own.provider.exitCode]).toEqual([null, null]);
    watch.end();
  });
});

describe("VEXLAB_PROVIDER_SECONDS", () => {
  it("is a number of seconds", () => {
    expect(providerLimit({})).toBe(300_000);
    expect(providerLimit({ VEXLAB_PROVIDER_SECONDS: "" })).toBe(300_000);
    expect(providerLimit({ VEXLAB_PROVIDER_SECONDS: "20" })).toBe(20_000);
    for (const wrong of ["0", "-1", "1.5", "3m", "1000000"])
      expect(() => providerLimit({ VEXLAB_PROVIDER_SECONDS: wrong })).toThrow(
        `VEXLAB_PROVIDER_SECONDS = ${wrong}: not a number of seconds; allowed: 1 to 999999`,
      );
  });
});
