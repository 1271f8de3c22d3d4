import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { processIds } from "../../../../lab/hypervisor/processes.ts";
import { removeFolders, runAsRoot } from "../../../../lab/image/namespace.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-namespace-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Processes with this argument on their command line. */
async function processesWith(argument: string): Promise<string[]> {
  const found = [];
  for (const pid of await processIds()) {
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (line.split("\0").includes(argument)) found.push(pid);
  }
  return found;
}

// A duration that nothing else on the machine sleeps for.
const uniqueSeconds = (): string => `${300 + Math.floor(Math.random() * 1e6) / 1e3}`;

describe("runAsRoot", () => {
  it("runs as root and passes lines on", async () => {
    const lines: string[] = [];
    await runAsRoot(["id", "-u"], { onLine: (line) => lines.push(line) });
    expect(lines).toEqual(["0"]);
  });

  it("shows what a failing command said", async () => {
    await expect(runAsRoot(["sh", "-c", "echo no such luck >&2; exit 7"])).rejects.toThrow(
      /sh ended with exit code 7:\n {2}no such luck/,
    );
  });

  it("ends everything inside when cancelled", async () => {
    const seconds = uniqueSeconds();
    const cancelling = new AbortController();
    const running = runAsRoot(["sh", "-c", 'sleep "$1" & echo started; wait', "sh", seconds], {
      signal: cancelling.signal,
      onLine: () => cancelling.abort(),
    });
    await expect(running).rejects.toMatchObject({ exitCode: 130 });
    await expect.poll(() => processesWith(seconds), { timeout: 5000 }).toEqual([]);
  });

  it("ends everything inside when this program is killed", async () => {
    const seconds = uniqueSeconds();
    const module = fileURLToPath(new URL("../../../../lab/image/namespace.ts", import.meta.url));
    const program = join(folder, "builder.mts");
    await writeFile(
      program,
      `import { runAsRoot } from ${JSON.stringify(module)};
       await runAsRoot(["sh", "-c", 'sleep "$1" & echo started; wait', "sh", process.argv[2]!], {
         onLine: (line) => console.log(line),
       });`,
    );
    const child = spawn(process.execPath, ["--import", "tsx", program, seconds], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    expect(await processesWith(seconds)).not.toEqual([]);
    child.kill("SIGKILL");
    await expect.poll(() => processesWith(seconds), { timeout: 5000 }).toEqual([]);
  });
});

describe("removeFolders", () => {
  it("removes folders and takes one that is not there", async () => {
    const doomed = join(folder, "a folder");
    await mkdir(join(doomed, "deep/er"), { recursive: true });
    await removeFolders([doomed, join(folder, "absent")]);
    await expect(access(doomed)).rejects.toThrow();
  });
});
