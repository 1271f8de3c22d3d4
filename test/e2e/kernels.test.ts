/**
 * The kernel is a configuration: the example and a module that one kernel does not build, in the cells of
 * a matrix on 6.1 and 6.12; then, on one of them, a module that none of us wrote.
 */
import { cp } from "node:fs/promises";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import type { CellResult } from "../../matrix/cellResult.ts";
import type { MatrixResult } from "../../matrix/matrixResult.ts";
import { Checkout, expectExit } from "./support/checkout.ts";

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
  await checkout.remove();
});

/** A cell's result, as far as the tests look. */
type Cell = Pick<CellResult, "cell" | "verdict" | "kernelRelease" | "reason" | "kept" | "suites">;

/** Runs `vexlab matrix` on both kernels. */
async function matrix(exitCode: number, ...words: string[]): Promise<MatrixResult> {
  const argv = ["matrix", "--kernel", "6.1,6.12", "--first-port", "2993", "--json", ...words];
  const { stdout } = expectExit(await checkout.vexlab(argv, allSuitesMs), exitCode);
  return JSON.parse(stdout) as MatrixResult;
}

/** The command lines of the QEMUs of this checkout's cells. */
async function guestsOfCells(): Promise<string[]> {
  const { stdout } = await execa("pgrep", ["-af", "guest=vexlab-matrix-"], { reject: false });
  return stdout.split("\n").filter((line) => line.includes(checkout.folder));
}

/** Of cells' stacks nothing may be there: no state, no configuration, no guest, no disks, no folder. */
async function leftOfCells(): Promise<string[]> {
  const { stdout } = await execa("find", [checkout.path(".vexlab"), "-name", "*matrix-6*"]);
  const files = stdout
    .split("\n")
    .filter((file) => file !== "" && !/\/(builds|locks)\//.test(file));
  const own = await guestsOfCells();
  const { stdout: tracked } = await checkout.run(["ls", "stacks"]);
  return [...files, ...own, ...tracked.split("\n").filter((name) => name.includes("matrix"))];
}

test(
  "all suites of the example pass on 6.1 and on 6.12, in the cells of a matrix",
  { timeout: allSuitesMs },
  async () => {
    const { cells, cpuSeconds, runId } = await matrix(0);
    const names = (await suites()).map(({ name }) => name);
    for (const [index, release] of [/^6\.1\./, /^6\.12\./].entries()) {
      const cell = cells[index];
      // As uname in the guest says.
      expect(cell?.kernelRelease).toMatch(release);
      expect(cell).toMatchObject({ verdict: "passed", kept: false });
      expect(cell?.suites.map(({ name, verdict }) => [name, verdict])).toEqual(
        names.map((name) => [name, "passed"]),
      );
      expect(cell?.cpuSeconds.guests).toBeGreaterThan(10);
      expect(cell?.cpuSeconds.engine).toBeGreaterThan(1);
    }
    expect(cpuSeconds.cells).toBeGreaterThan(30);
    const junit = await checkout.read(`test_results/${runId}/junit.xml`);
    for (const name of names) expect(junit).toContain(`name="debian-12/6.12: ${name}"`);
    expect(await leftOfCells()).toEqual([]);
  },
);

describe("a module that one of the kernels does not build", () => {
  const source = () => checkout.path("test/fixtures/one-kernel");
  const seconds = "test/fixtures/one-kernel/tests/seconds";
  const expectTruth = (cells: readonly Cell[]): void => {
    expect(cells[0]).toMatchObject({ cell: "debian-12/6.1", verdict: "passed" });
    expect(cells[1]).toMatchObject({ cell: "debian-12/6.12", verdict: "build-failed", suites: [] });
    expect(cells[1]?.reason).toMatch(/^one_kernel\.c:7:2: error: #error "one_kernel knows no/);
  };

  test("passes on the other, and the matrix ends as the gravest", async () => {
    const { cells, runId } = await matrix(6, "--source", source());
    expectTruth(cells);
    const page = await checkout.read(`test_results/${runId}/index.html`);
    expect(page).toContain("error: #error &quot;one_kernel".replaceAll("&quot;", '"'));
    expect(page).not.toContain("<script");
  });

  test("is not run again for the same inputs", async () => {
    const { cells, cpuSeconds } = await matrix(6, "--source", source());
    expectTruth(cells);
    expect(cells.map(({ kept }) => kept)).toEqual([true, true]);
    expect(cpuSeconds.cells).toBe(0);
  });

  test("Ctrl-C leaves nothing of the cells, and the next run goes on with what has no result", async () => {
    // Other sources: nothing is known of them.
    await checkout.write(seconds, "45\n");
    const argv = ["matrix", "--kernel", "6.1,6.12", "--first-port", "2993", "--source", source()];
    const run = execa(checkout.path("scripts/vexlab"), argv, {
      ...{ cwd: checkout.folder, stdin: "ignore", all: true, reject: false, detached: true },
    });
    let said = "";
    run.all.on("data", (text: Buffer) => (said += text.toString()));
    // The guest in which the suite runs.
    const underTest = async (): Promise<void> => {
      expect(run.exitCode, said).toBeNull();
      expect((await guestsOfCells()).join("\n")).toMatch(/guest=vexlab-matrix-6\.1-\w+-fork-/);
    };
    await vi.waitFor(underTest, { timeout: 400_000, interval: 500 });
    expect(said).toContain("debian-12/6.12: build-failed");
    expect(said).not.toContain("debian-12/6.1: passed");
    // The whole process group, as a terminal does.
    if (run.pid !== undefined) process.kill(-run.pid, "SIGINT");
    const { exitCode } = await run;
    expect({ exitCode, said }).toMatchObject({ exitCode: 130 });
    expect(said).toContain("debian-12/6.1: cancelled");
    expect(await leftOfCells()).toEqual([]);

    const { cells } = await matrix(6, "--source", source());
    expectTruth(cells);
    expect(cells.map(({ kept }) => kept)).toEqual([false, true]);
  });
});

test("Debian's v4l2loopback: the frames written are the frames read", async () => {
  await checkout.configure("ci", { source: checkout.path("v4l2loopback") });
  expectExit(await checkout.vexlab(["up", "ci"]), 0);
  expect(await checkout.outputs("ci")).toMatchObject({ verdict: "passed" });
});

test("Debian's acpi-call builds, loads and unloads on both kernels, as it is", async () => {
  const { cells } = await matrix(0, "--source", await adoptPackage("acpi-call"));
  expect(cells.map(({ verdict }) => verdict)).toEqual(["passed", "passed"]);
});

test("Debian's dm-writeboost is for 6.1: on 6.12 it is the compiler that says so", async () => {
  const { cells } = await matrix(6, "--source", await adoptPackage("dm-writeboost"));
  expect(cells.map(({ verdict }) => verdict)).toEqual(["passed", "build-failed"]);
  expect(cells[1]?.reason).toMatch(/dm-writeboost-target\.c:\d+:\d+: error: /);
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
