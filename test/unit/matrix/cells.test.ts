import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigurationError } from "../../../lab/config/errors.ts";
import { daemonFolder, places, type Places } from "../../../lab/config/places.ts";
import { configurationsOf } from "../../../matrix/configurations.ts";
import { planCells, stackOf, warmGroup, type Cell } from "../../../matrix/cells.ts";
import { readMatrix, type MatrixFlags } from "../../../matrix/matrixFile.ts";
import { budgetFor, groupOf } from "../../../matrix/runMatrix.ts";

let folder: string;
let where: Places;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-matrix-"));
  where = { ...places({}), checkout: folder };
  await mkdir(join(folder, "stacks"));
  await mkdir(join(folder, "source"));
  await writeFile(
    join(folder, "stacks", "Pulumi.ci.yaml"),
    'config:\n  vexlab:cpus: "1"\n  vexlab:memory: 1G\n  vexlab:source: source\n  vexlab:mode: test\n  vexlab:sshPort: "2225"\n  other:key: x\n',
  );
  await writeFile(
    join(folder, "source", "vexlab.yaml"),
    "name: tiny\nmodule: { artefacts: [tiny.ko] }\nsuites: [{ name: mount, command: [x] }, { name: file-a, command: [x] }]\n",
  );
});
afterEach(() => rm(folder, { recursive: true }));

const cellsOf = async (flags: MatrixFlags, file?: string): Promise<Cell[]> =>
  planCells(await readMatrix(file, flags), where, { VEXFS_VM_SSH_PORT: "3000" });
const faultsOf = async (work: Promise<unknown>): Promise<string[]> => {
  const error: unknown = await work.catch((caught: unknown) => caught);
  if (!(error instanceof ConfigurationError)) throw new Error("no mistake was found");
  return error.faults.map(({ key, problem }) => `${key}: ${problem}`);
};

describe("the cells of a matrix", () => {
  it("are kernels × configurations over the base stack's", async () => {
    const cells = await cellsOf({
      kernels: ["6.1", "debian-12/6.12"],
      configurations: { plain: {}, checked: { kernelParameters: "slub_debug=FZPU", cpus: 2 } },
    });
    expect(cells.map(({ label }) => label)).toEqual([
      ...["debian-12/6.1 plain", "debian-12/6.1 checked"],
      ...["debian-12/6.12 plain", "debian-12/6.12 checked"],
    ]);
    expect(cells.map(({ config }) => config.cpus)).toEqual([1, 2, 1, 2]);
    expect(cells[0]?.raw).not.toHaveProperty("mode");
    expect(cells[0]?.raw).not.toHaveProperty("sshPort");
    expect(new Set(cells.map(({ stack }) => stack)).size).toBe(4);
    expect(new Set(cells.map(warmGroup)).size).toBe(4);
    expect(cells[0]?.need).toEqual({ memoryMiB: 2 * 1324, cores: 1 });
    expect(cells[0]?.suites).toEqual(["mount", "file-a"]);
  });

  it("all is every kernel of every image, or of those that are named", async () => {
    const all = (await cellsOf({ kernels: ["all"] })).map(({ label }) => label);
    expect(all).toContain("debian-12/6.1");
    expect(all).toContain("debian-12/6.12");
    expect(new Set(all).size).toBe(all.length);
    const some = await cellsOf({ kernels: ["all", "6.1"], images: ["debian-12"] });
    expect(some.every(({ image }) => image === "debian-12")).toBe(true);
    expect(new Set(some.map(({ label }) => label)).size).toBe(some.length);
  });

  it("without kernels there is one, the base stack's", async () => {
    expect((await cellsOf({})).map(({ label, kernel }) => [label, kernel])).toEqual([
      ["debian-12", ""],
    ]);
  });

  it("choose suites", async () => {
    const [cell] = await cellsOf({ suites: ["file-*"] });
    expect(cell?.suites).toEqual(["file-a"]);
    expect(cell?.raw["suites"]).toBe("file-*");
  });

  it("are checked all together, each mistake once", async () => {
    const faults = await faultsOf(
      cellsOf({
        kernels: ["6.1", "9.9", "6.12"],
        suites: ["nothing"],
        configurations: { a: { memory: "4" } },
      }),
    );
    expect(faults).toEqual([
      "vexlab:memory: has no unit",
      expect.stringContaining("vexlab:kernel"),
    ]);
    expect(await faultsOf(cellsOf({ kernels: ["6.1", "6.12"], suites: ["nothing"] }))).toEqual([
      "vexlab:suites: matches no suite",
    ]);
    expect(await faultsOf(cellsOf({ stack: "nobody" }))).toEqual([
      expect.stringContaining("stack:"),
    ]);
  });

  it("names are Pulumi's, short, and say the kernel", () => {
    expect(stackOf("6.12.43+deb12-amd64", "x")).toMatch(/^matrix-6\.12\.43-deb1-[0-9a-f]{6}$/);
    expect(stackOf("6.1", "a")).not.toBe(stackOf("6.1", "b"));
  });
});

describe("matrix.yaml", () => {
  const write = async (text: string): Promise<string> => {
    const file = join(folder, "matrix.yaml");
    await writeFile(file, text);
    return file;
  };

  it("is overridden key by key, and its source is relative to it", async () => {
    const file = await write("kernels: [6.1, '6.12']\nsource: ./source\njobs: 3\nmemory: 4G\n");
    expect(await readMatrix(file, { jobs: "1" })).toMatchObject({
      ...{ kernels: ["6.1", "6.12"], source: join(folder, "source"), jobs: 1, memory: 4096 },
    });
    expect(await readMatrix(file, { source: "/elsewhere" })).toMatchObject({
      source: "/elsewhere",
    });
  });

  it("tells all mistakes at once, with their lines", async () => {
    const file = await write(
      "kernel: 6.1\njobs: 0\nmemory: big\nconfigurations:\n  a: {mempry: 1G}\n",
    );
    const faults = await faultsOf(readMatrix(file, {}));
    expect(faults).toHaveLength(4);
    expect(faults.join("\n")).toMatch(/kernel: unknown key, did you mean kernels\?/);
    expect(faults.join("\n")).toMatch(/jobs: .*line 2/);
    expect(faults.join("\n")).toMatch(/mempry: unknown key, did you mean memory\?/);
  });

  it("may not be there, or no YAML", async () => {
    expect(await faultsOf(readMatrix(join(folder, "none.yaml"), {}))).toHaveLength(1);
    expect(await faultsOf(readMatrix(await write("a: [\n"), {}))).not.toHaveLength(0);
    expect(await faultsOf(readMatrix(await write("- a\n"), {}))).toHaveLength(1);
  });

  it("configurations of the command line are mappings or a stack's file", async () => {
    await writeFile(join(folder, "a.yaml"), "cpus: 2\n");
    const stack = join(folder, "stacks", "Pulumi.ci.yaml");
    expect(await configurationsOf([`a=${join(folder, "a.yaml")}`, `b=${stack}`])).toMatchObject({
      ...{ a: { cpus: 2 }, b: { memory: "1G", cpus: "1" } },
    });
    expect(await faultsOf(configurationsOf(["a", `b=${folder}/none`]))).toHaveLength(2);
    expect(await configurationsOf(undefined)).toBeUndefined();
  });
});

describe("a guest's processor time", () => {
  it("is its cell's, in this checkout; of a guest that is saved, the images'", async () => {
    const cells = await cellsOf({ kernels: ["6.1"] });
    const stack = cells[0]?.stack ?? "";
    const disk = `\0${where.state}/stacks/${stack}/pool/root\0`;
    const socket = `\0path=${daemonFolder(where)}/x.sock\0`;
    const groupOfIt = (domain: string, words: string) => groupOf(domain, words, cells, where);
    expect(groupOfIt(`vexlab-${stack}`, disk)).toBe(`${stack}/guests`);
    expect(groupOfIt(`vexlab-${stack}-fork-12-1`, disk)).toBe(`${stack}/guests`);
    expect(groupOfIt(`vexlab-${stack}x`, disk)).toBeUndefined();
    expect(groupOfIt("vexlab-dev", disk)).toBeUndefined();
    expect(groupOfIt(`vexlab-${stack}`, "/another/checkout")).toBeUndefined();
    expect(groupOfIt("vexlab-template-0123456789abcdef", socket)).toBe("images");
    expect(groupOfIt("vexlab-template-0123456789abcdef", "/another")).toBeUndefined();
  });
});

describe("the budget", () => {
  const host = { cores: 4, memoryMiB: 8192 };

  it("is the host's, or what is asked for", async () => {
    const cells = await cellsOf({ kernels: ["6.1"] });
    expect(budgetFor(cells, {}, host)).toEqual({ cores: 4, memoryMiB: 6144 });
    expect(budgetFor(cells, { jobs: 1, memory: 3000 }, host)).toEqual({
      cores: 1,
      memoryMiB: 3000,
    });
    // A host that is small runs one cell, as `up` would.
    expect(budgetFor(cells, {}, { cores: 1, memoryMiB: 2048 }).memoryMiB).toBe(2648);
  });

  it("that no cell fits in is a mistake for each", async () => {
    const cells = await cellsOf({ kernels: ["6.1", "6.12"] });
    expect(() => budgetFor(cells, { memory: 2000 }, host)).toThrow(/2 mistakes/);
  });
});
