/**
 * The kernel is a configuration: all suites of the example pass on 6.1 and on 6.12, in two stacks at the
 * same time, of which the first then tests a module that none of us wrote.
 */
import { cp } from "node:fs/promises";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { Checkout, expectExit, type Ended } from "./support/checkout.ts";

/** Milliseconds for both: a build with all checks and all suites, on two cores that are busy. */
const allSuitesMs = 30 * 60_000;
/** Tests of ours for Debian's module; its manifest is written by `vexlab init`. */
const ownTests = join(
  dirname(dirname(fileURLToPath(import.meta.url))),
  ...["fixtures", "v4l2loopback"],
);

let checkout: Checkout;

beforeAll(async () => {
  checkout = await Checkout.make();
  await checkout.configure("linux-6.12", { sshPort: 2993, memory: "2G", cpus: 2 });
  await checkout.configure("ci", { sshPort: 2994 });
  await cp(ownTests, checkout.path("v4l2loopback"), { recursive: true });
  await adoptPackage("v4l2loopback");
});

/** A DKMS package of Debian, laid out in the checkout with a manifest that nobody wrote. */
async function adoptPackage(name: string): Promise<string> {
  const folder = checkout.path(name);
  expectExit(await checkout.vexlab(["init", "--debian-package", `${name}-dkms`, folder]), 0);
  return folder;
}

afterAll(async () => {
  await checkout.vexlab(["destroy", "ci"]);
  await checkout.vexlab(["destroy", "linux-6.12"]);
  await checkout.remove();
});

let ups: Promise<readonly [Ended, Ended]>;

test("all suites of the example pass on 6.1", { timeout: allSuitesMs }, async () => {
  ups = Promise.all([checkout.vexlab(["up", "ci"]), checkout.vexlab(["up", "linux-6.12"])]);
  const [up] = await ups;
  const { all } = expectExit(up, 0);
  const outputs = await checkout.outputs("ci");
  expect(outputs).toMatchObject({ verdict: "passed" });
  expect(outputs["kernelRelease"]).toMatch(/^6\.1\./);
  for (const { name } of await suites()) expect(all).toContain(`suite ${name}: done`);
});

test("and, beside it, on 6.12, which the guest really runs", async () => {
  const [, up] = await ups;
  expectExit(up, 0);
  const { stdout } = expectExit(await checkout.ssh("linux-6.12", "uname -r"), 0);
  expect(stdout).toMatch(/^6\.12\./);
  const outputs = await checkout.outputs("linux-6.12");
  expect(outputs).toMatchObject({ verdict: "passed", kernelRelease: stdout.trim() });
});

test("Debian's v4l2loopback, side by side: the frames written are the frames read", async () => {
  await checkout.configure("ci", { source: checkout.path("v4l2loopback") });
  expectExit(await checkout.vexlab(["up", "ci"]), 0);
  expect(await checkout.outputs("ci")).toMatchObject({ verdict: "passed" });
  // The first guest was not disturbed.
  expectExit(await checkout.ssh("linux-6.12", "true"), 0);
  expect(await checkout.planned("linux-6.12", "--refresh")).toEqual({});
});

/** Tests a module in forks of both guests, which both stay what they are; 6.1's report, and 6.12's end. */
async function testInBoth(source: string): Promise<readonly [Ended, Ended]> {
  const on = (stack: string): Promise<Ended> =>
    checkout.vexlab(["test", "--stack", stack, "--source", source, "--json"]);
  const ends = await Promise.all([on("ci"), on("linux-6.12")]);
  expect(await checkout.outputs("ci")).toMatchObject({ verdict: "passed" });
  return ends;
}

test("Debian's acpi-call builds, loads and unloads on both kernels, as it is", async () => {
  const ends = await testInBoth(await adoptPackage("acpi-call"));
  const releases = ends.map((end) => {
    const report = JSON.parse(expectExit(end, 0).stdout) as Record<string, unknown>;
    expect(report).toMatchObject({ verdict: "passed" });
    return String(report["kernelRelease"]);
  });
  expect(releases[0]).toMatch(/^6\.1\./);
  expect(releases[1]).toMatch(/^6\.12\./);
});

test("Debian's dm-writeboost is for 6.1: on 6.12 it is the compiler that says so", async () => {
  const [old, recent] = await testInBoth(await adoptPackage("dm-writeboost"));
  expectExit(old, 0);
  const { all } = expectExit(recent, 6);
  expect(all).toMatch(/dkms\.conf failed.*\n.*dm-writeboost-target\.c:\d+:\d+: error: /);
});

/** The suites of the example's manifest. */
async function suites(): Promise<{ name: string }[]> {
  const manifest = parse(await checkout.read("examples/vexfs/vexlab.yaml")) as {
    suites: { name: string }[];
  };
  return manifest.suites;
}

/** What decides whether a module fits a kernel: vermagic, and the symbols that it has and needs. */
async function identity(): Promise<string> {
  const { stdout: files } = await execa("find", [
    ...[checkout.path(".vexlab/builds/ci"), "-name", "v4l2loopback.ko", "-printf", "%T@ %p\\n"],
  ]);
  const newest = files.split("\n").sort().at(-1)?.split(" ")[1] ?? "";
  const { stdout: vermagic } = await execa("modinfo", ["-F", "vermagic", newest]);
  const { stdout: symbols } = await execa("nm", ["--format=just-symbols", newest]);
  return [vermagic, ...symbols.split("\n").sort()].join("\n");
}

test("built in the guest, the module is the same", async () => {
  const onHost = await identity();
  expect(onHost).toMatch(/^6\.1\..* SMP preempt mod_unload modversions/);
  await checkout.configure("ci", { buildOn: "guest" });
  expect(Object.keys(await checkout.planned("ci")).sort()).toEqual(["module-run", "test-run"]);
  expectExit(await checkout.vexlab(["up", "ci"]), 0);
  expect(await checkout.outputs("ci")).toMatchObject({ verdict: "passed" });
  expect(await identity()).toBe(onHost);
});
