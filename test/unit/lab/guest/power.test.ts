/** Starting, stopping and watching a domain, with a virsh of the test's own on PATH. */
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { whenNotRunning } from "../../../../lab/guest/domainWatch.ts";
import { startDomain, stopDomain } from "../../../../lab/guest/power.ts";

let folder: string;
const path = process.env["PATH"];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-virsh-"));
  process.env["PATH"] = `${folder}:${path ?? ""}`;
});
afterEach(async () => {
  process.env["PATH"] = path;
  await rm(folder, { recursive: true });
});

const state = (text: string): Promise<void> => writeFile(join(folder, "state"), text);
const calls = async (): Promise<string[]> =>
  (await readFile(join(folder, "calls"), "utf8"))
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("domstate"));

/** `domstate` prints the file `state`; what the other commands do is given. */
async function virsh(script: string): Promise<void> {
  const file = join(folder, "virsh");
  await writeFile(
    file,
    `#!/bin/sh
cd ${folder}; shift 3; echo "$*" >>calls
case $1 in
domstate) cat state ;;
${script}
esac
`,
  );
  await chmod(file, 0o755);
}

describe("stopping", () => {
  test("a guest that listens shuts down", async () => {
    await virsh("shutdown) echo 'shut off' >state ;;");
    await state("running");
    expect(await stopDomain("test:///", "dev", 5000)).toBe("shutdown");
    expect(await calls()).toEqual(["shutdown dev --mode acpi"]);
  });

  test("one that doesn't loses its power after the deadline", async () => {
    await virsh("shutdown) ;;\ndestroy) echo 'shut off' >state ;;");
    await state("running");
    expect(await stopDomain("test:///", "dev", 600)).toBe("destroyed");
    expect(await calls()).toEqual(["shutdown dev --mode acpi", "destroy dev"]);
  });

  test("one that is off stays off", async () => {
    await virsh("*) exit 1 ;;");
    await state("shut off");
    expect(await stopDomain("test:///", "dev", 600)).toBe("already");
  });

  test("a domain that goes by itself while it is destroyed is stopped", async () => {
    await virsh(
      "shutdown) ;;\ndestroy) echo 'shut off' >state; echo 'error: not running' >&2; exit 1 ;;",
    );
    await state("running");
    expect(await stopDomain("test:///", "dev", 300)).toBe("destroyed");
  });

  test("a libvirt that refuses is an error with its words", async () => {
    await virsh("*) echo 'error: no rights' >&2; exit 1 ;;");
    await state("running");
    await expect(stopDomain("test:///", "dev", 300)).rejects.toThrow("no rights");
  });
});

describe("starting", () => {
  test("only what does not run", async () => {
    await virsh("start) echo running >state ;;");
    await state("shut off");
    expect(await startDomain("test:///", "dev")).toBe(true);
    expect(await startDomain("test:///", "dev")).toBe(false);
    expect(await calls()).toEqual(["start dev"]);
  });
});

describe("watching", () => {
  test("a domain that is not running is named with its state", async () => {
    await virsh("");
    await state("crashed");
    expect(await whenNotRunning("test:///", "dev", new AbortController().signal)).toContain(
      "domain dev is crashed",
    );
  });

  test("a domain that libvirt doesn't know needs no second question", async () => {
    await virsh("");
    await writeFile(
      join(folder, "virsh"),
      `#!/bin/sh\necho x >>${folder}/calls\necho "error: failed to get domain 'dev'" >&2\nexit 1\n`,
    );
    const said = await whenNotRunning("test:///", "dev", new AbortController().signal);
    expect(said).toContain("failed to get domain 'dev'");
    expect(await calls()).toHaveLength(1);
  });

  test("nothing is said of one that runs, until the signal", async () => {
    await virsh("");
    await state("running");
    expect(await whenNotRunning("test:///", "dev", AbortSignal.timeout(400))).toBeUndefined();
  });
});
