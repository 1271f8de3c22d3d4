/**
 * A stack's life, from nothing to nothing, as a user lives it: one guest (and a second one after a
 * replacement), driven through the commands of the README.
 */
import { existsSync } from "node:fs";
import { readdir, readFile, readlink, stat } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { daemonFolder, places } from "../../lab/config/places.ts";
import { portHolder } from "../../lab/hypervisor/portHolder.ts";
import { Checkout, expectExit } from "./support/checkout.ts";

const SUITE = "examples/vexfs/tests/module-operations.sh";
const MODULE = "examples/vexfs/kernel/super.c";

let checkout: Checkout;
// Not the shipped one, which the user's own stack may have.
const sshPort = 2991;

beforeAll(async () => {
  checkout = await Checkout.make();
  await checkout.quickSuites();
  await checkout.configure("ci", { sshPort });
});

afterAll(async () => {
  await checkout.vexlab(["destroy", "ci"]);
  await checkout.remove();
});

/** The run that `test_results/latest` points to. */
const latestRun = (): Promise<string> => readlink(checkout.path("test_results", "latest"));

describe("up", () => {
  test("ends with a tested module and a passed verdict", async () => {
    const { all } = expectExit(await checkout.vexlab(["up", "ci"]), 0);
    expect(all).toMatch(/passed/);
    expect(all).toContain("ssh -i ");
    const outputs = await checkout.outputs("ci");
    expect(outputs).toMatchObject({ verdict: "passed" });
    expect(outputs["kernelRelease"]).toMatch(/^6\.1\./);
  });

  test("leaves the log that the seed promises, JUnit and JSON, and `latest`", async () => {
    const results = await readdir(checkout.path("test_results"));
    expect(results.filter((name) => /^test_log_.*\.txt$/.test(name))).toHaveLength(1);
    const { logs } = (await checkout.outputs("ci")) as { logs: Record<string, string> };
    const junit = await readFile(logs["junit"] ?? "", "utf8");
    expect(junit).toContain("<testsuite");
    expect(junit).toContain("module-operations");
    const report = JSON.parse(await readFile(logs["json"] ?? "", "utf8")) as { verdict: string };
    expect(report.verdict).toBe("passed");
    expect(existsSync(checkout.path("test_results", "latest"))).toBe(true);
  });

  test("the guest is what the stack says: kernel, processors, memory, disks, share", async () => {
    const script =
      "uname -r; nproc; grep MemTotal /proc/meminfo; findmnt -no OPTIONS /mnt/vexfs-src; " +
      "lsblk -bdno SIZE /dev/disk/by-id/virtio-vexlab-test; cat /mnt/vexfs-src/vexlab.yaml";
    const { stdout } = expectExit(await checkout.ssh("ci", script), 0);
    const [release, processors, memory, options, testDisk, ...manifest] = stdout.split("\n");
    expect((await checkout.outputs("ci"))["kernelRelease"]).toBe(release);
    expect(processors).toBe("2");
    const kib = Number(/\d+/.exec(memory ?? "")?.[0]);
    expect(kib).toBeGreaterThan(1.8 * 2 ** 20);
    expect(kib).toBeLessThan(2 * 2 ** 20);
    expect(options).toMatch(/^ro,/);
    expect(testDisk?.trim()).toBe(String(512 * 2 ** 20));
    expect(manifest.join("\n").trim()).toBe(
      (await checkout.read("examples/vexfs/vexlab.yaml")).trim(),
    );
  });

  test("the share is live and read-only", async () => {
    await checkout.write("examples/vexfs/tests/live.txt", "edited on the host\n");
    const script = "cat /mnt/vexfs-src/tests/live.txt; touch /mnt/vexfs-src/from-guest";
    const { all, exitCode } = await checkout.ssh("ci", script);
    expect(all).toContain("edited on the host");
    expect(all).toContain("Read-only file system");
    expect(exitCode).toBe(1);
    await execa("rm", [checkout.path("examples/vexfs/tests/live.txt")]);
  });

  test("the seed's commands are there", async () => {
    const script = "type vs vt build-kernel build-vexctl >/dev/null && vs && pwd";
    const { stdout } = expectExit(await checkout.ssh("ci", `bash -lc '${script}'`), 0);
    expect(stdout.trim()).toBe("/mnt/vexfs-src");
  });

  test("only 127.0.0.1 listens, the user has no password, root cannot log in", async () => {
    const { stdout } = await execa("ss", ["-Hltn", `sport = :${sshPort}`]);
    expect(stdout).toContain(`127.0.0.1:${sshPort}`);
    expect(stdout).not.toMatch(/0\.0\.0\.0:\d+ .*0\.0\.0\.0:\*.*\n.*\n/);
    const shadow = await checkout.ssh("ci", "sudo getent shadow vexfs | cut -d: -f2");
    expect(shadow.stdout).toMatch(/^[!*]/);
  });
});

describe("no change", () => {
  test("preview shows none, and none with --refresh", async () => {
    expect(await checkout.planned("ci")).toEqual({});
    expect(await checkout.planned("ci", "--refresh")).toEqual({});
  });

  test("a second up runs nothing again, and the stack's file is as it was", async () => {
    const before = { run: await latestRun(), file: await checkout.read("stacks/Pulumi.ci.yaml") };
    const { all } = expectExit(await checkout.vexlab(["up", "ci"]), 0);
    expect(all).toMatch(/unchanged/);
    expect(await latestRun()).toBe(before.run);
    expect(await checkout.read("stacks/Pulumi.ci.yaml")).toBe(before.file);
  });

  test("evicting what only the cache holds changes nothing", async () => {
    const { stdout } = await checkout.vexlab(["image", "list"]);
    expect(stdout).toContain("debian-12");
    expectExit(await checkout.vexlab(["image", "prune"]), 0);
    expect(await checkout.planned("ci")).toEqual({});
  });

  test("a guest stopped by hand is nothing to do, and is started for a test", async () => {
    expectExit(await checkout.vexlab(["vm", "stop", "--stack", "ci"]), 0);
    expect(await checkout.planned("ci", "--refresh")).toEqual({});
    expectExit(await checkout.vexlab(["vm", "start", "--stack", "ci"]), 0);
    expectExit(await checkout.vexlab(["vm", "wait", "--stack", "ci"]), 0);
  });

  test("no private key is in the state, the log or the diff", async () => {
    const { stdout: state } = await checkout.pulumi(["stack", "export", "--stack", "ci"]);
    const { stdout: diff } = await checkout.pulumi(["preview", "--diff", "--stack", "ci"]);
    const privateKey = await checkout.read(".vexlab/stacks/ci/id_ed25519");
    for (const line of privateKey.split("\n").filter((text) => text.length > 40)) {
      expect(state).not.toContain(line);
      expect(diff).not.toContain(line);
    }
    expect(state).not.toContain("PRIVATE KEY");
    const { mode } = await stat(checkout.path(".vexlab/stacks/ci/id_ed25519"));
    expect(mode & 0o777).toBe(0o600);
  });
});

describe("edits", () => {
  test("fewer suites in the manifest are fewer suites in the run", async () => {
    const manifest = await checkout.read("examples/vexfs/vexlab.yaml");
    const [before = "", after = ""] = manifest.split(/^ {2}- name: build-system\n(?: {4}.*\n)*/m);
    await checkout.write("examples/vexfs/vexlab.yaml", before + after);
    expectExit(await checkout.vexlab(["up", "ci"]), 0);
    const report = await checkout.read("test_results/latest/result.json");
    const { suites } = JSON.parse(report) as { suites: { name: string }[] };
    expect(suites.map(({ name }) => name)).toEqual(["module-operations"]);
  });

  test("preview after an edit shows build and test again and nothing else", async () => {
    await checkout.edit(MODULE, "MODULE_LICENSE", "/* an edit */\nMODULE_LICENSE");
    const planned = await checkout.planned("ci");
    expect(Object.keys(planned).sort()).toEqual(["module-run", "test-run"]);
  });

  test("a failing case fails the up with its name; taking it back tests again", async () => {
    const suite = await checkout.read(SUITE);
    const shebang = suite.split("\n")[0] ?? "";
    const failing = 'echo "KTAP version 1"; echo 1..1; echo "not ok 1 broken on purpose"; exit 1';
    await checkout.write(SUITE, `${shebang}\n${failing}\n`);
    const failed = expectExit(await checkout.vexlab(["up", "ci"]), 1);
    expect(failed.all).toContain("broken on purpose");
    // The same bad state is tried again, not taken for done.
    expect(Object.keys(await checkout.planned("ci"))).toContain("test-run");
    await checkout.write(SUITE, suite);
    const before = await latestRun();
    expectExit(await checkout.vexlab(["up", "ci"]), 0);
    expect(await latestRun()).not.toBe(before);
    expect(await checkout.planned("ci")).toEqual({});
  });

  test("a module that does not compile is build-failed, with the compiler's first error", async () => {
    const source = await checkout.read(MODULE);
    await checkout.write(MODULE, `${source}\nint broken(void) { return no_such_name; }\n`);
    const { all } = expectExit(await checkout.vexlab(["up", "ci"]), 6);
    expect(all).toMatch(/no_such_name/);
    await checkout.write(MODULE, source);
    expectExit(await checkout.vexlab(["up", "ci"]), 0);
  });

  test("onFailure: report lets the up succeed and says the verdict", async () => {
    const suite = await checkout.read(SUITE);
    await checkout.configure("ci", { onFailure: "report" });
    await checkout.write(SUITE, `#!/bin/sh\necho "KTAP version 1"\necho 1..0\n`);
    expectExit(await checkout.vexlab(["up", "ci"]), 0);
    expect(await checkout.outputs("ci")).toMatchObject({ verdict: "failed" });
    await checkout.write(SUITE, suite);
    await checkout.configure("ci", { onFailure: undefined });
    expectExit(await checkout.vexlab(["up", "ci"]), 0);
  });
});

describe("one at a time", () => {
  test("a second up of the stack meanwhile names the first", async () => {
    await checkout.edit(MODULE, "/* an edit */", "/* another */");
    const first = checkout.vexlab(["up", "ci"]);
    const locks = checkout.path(".vexlab/pulumi/.pulumi/locks/organization/vexlab/ci");
    await expect.poll(() => readdir(locks), { timeout: 30_000 }).not.toEqual([]);
    const second = expectExit(await checkout.vexlab(["up", "ci"]), 3);
    expect(second.all).toMatch(/in use by another run of .*process \d+/);
    expectExit(await first, 0);
  });
});

describe("replacement", () => {
  test("memory and processors replace the machine, and the new guest has them", async () => {
    await checkout.configure("ci", { memory: "1536M", cpus: 1, testDiskSize: "2G" });
    const planned = await checkout.planned("ci");
    expect(planned).toMatchObject({ "machine-domain": "replace" });
    expect(planned).not.toHaveProperty("root-overlay");
    expectExit(await checkout.vexlab(["up", "ci"]), 0);
    const script = "nproc; free -m | awk '/Mem/ {print $2}'; lsblk -bdno SIZE /dev/vdb";
    const { stdout } = expectExit(await checkout.ssh("ci", script), 0);
    const [processors, mebibytes, testDisk] = stdout.split("\n");
    expect(processors).toBe("1");
    expect(Number(mebibytes)).toBeLessThan(1536);
    expect(testDisk?.trim()).toBe(String(2 * 2 ** 30));
  });

  test.each([
    ["image", { kernel: "6.12" }, ["image-build", "root-overlay", "machine-domain"]],
    ["disk size", { diskSize: "30G" }, ["root-overlay", "machine-domain"]],
    ["share", { share: "readwrite" }, ["machine-domain"]],
    ["network", { network: "nat" }, ["machine-domain"]],
    ["port", { sshPort: 2999 }, ["machine-domain"]],
  ])("another %s replaces what it must", async (_, keys, replaced) => {
    const file = await checkout.read("stacks/Pulumi.ci.yaml");
    await checkout.configure("ci", keys);
    const planned = await checkout.planned("ci");
    for (const name of replaced) expect(planned[name], name).toMatch(/replace/);
    await checkout.write("stacks/Pulumi.ci.yaml", file);
  });
});

describe("a stack in test mode", () => {
  test("stops its guest after the run, and each up tests, though nothing changed", async () => {
    await checkout.configure("ci", { mode: "test" });
    expectExit(await checkout.vexlab(["up", "ci"]), 0);
    expect(await portHolder(sshPort)).toBeUndefined();
    expect(await checkout.planned("ci", "--refresh")).toEqual({});
    const before = await latestRun();
    const { all } = expectExit(await checkout.vexlab(["up", "ci"]), 0);
    expect(all).toMatch(/PASSED|passed/);
    expect(await latestRun()).not.toBe(before);
    expect(await portHolder(sshPort)).toBeUndefined();
  });
});

describe("destroy", () => {
  test("plain pulumi, after the daemon died, names the command that helps; then nothing is left", async () => {
    const daemon = daemonFolder({ ...places(), state: checkout.path(".vexlab") });
    process.kill(Number(await readFile(join(daemon, "libvirtd.pid"), "utf8")), "SIGKILL");
    const words = ["destroy", "--yes", "--skip-preview", "--stack", "ci"];
    const failed = await checkout.pulumi(words);
    expect(failed.exitCode).not.toBe(0);
    expect(failed.all).toContain("npm-run-recover");
    expectExit(await checkout.vexlab(["recover", "ci"]), 0);
    expectExit(await checkout.pulumi(words), 0);
    expect(await portHolder(sshPort)).toBeUndefined();
    expect(existsSync(checkout.path(".vexlab/stacks/ci"))).toBe(false);
    expect(existsSync(checkout.path(".vexlab/builds/ci"))).toBe(false);
    expect(existsSync(daemon)).toBe(false);
  });

  test("keeps the image, and a second destroy has nothing to do", async () => {
    const { stdout } = await checkout.vexlab(["image", "list"]);
    expect(stdout).toContain("debian-12");
    expectExit(await checkout.vexlab(["destroy", "ci"]), 0);
  });
});
