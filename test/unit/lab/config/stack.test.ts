import { chmod, mkdir, mkdtemp, readFile, readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { configurationTable } from "../../../../lab/config/configurationTable.ts";
import { ConfigurationError, type Fault } from "../../../../lab/config/errors.ts";
import { readableBy } from "../../../../lab/config/sourceFolder.ts";
import { fakeTree } from "../kernel/tree.ts";
import { parseStackConfig, type StackConfig } from "../../../../lab/config/stack.ts";
import { stackKeys } from "../../../../lab/config/stackSchema.ts";

const repository = fileURLToPath(new URL("../../../../", import.meta.url));
let checkout = "";

beforeAll(async () => {
  checkout = await mkdtemp(join(tmpdir(), "checkout-"));
  await mkdir(join(checkout, "examples/vexfs"), { recursive: true });
  await mkdir(join(checkout, "bare"));
  await mkdir(join(checkout, "faulty"));
  const manifest = "name: vexfs\nmodule: {artefacts: [vexfs.ko]}\n";
  await writeFile(join(checkout, "examples/vexfs/vexlab.yaml"), manifest);
  await writeFile(join(checkout, "faulty/vexlab.yaml"), "name: A\nsuits: []\n");
  await writeFile(join(checkout, "a-file"), "");
});

const nobody = { name: "nobody", uid: 65_534, gids: [65_534] };

const parseWith = (
  raw: Record<string, string>,
  environment: NodeJS.ProcessEnv = {},
  host: { cpus?: number; memoryMiB?: number } = {},
): Promise<StackConfig> =>
  parseStackConfig(
    raw,
    environment,
    { cpus: 8, memoryMiB: 16_384, checkout, ...host },
    "stack dev",
    { qemuUser: () => Promise.resolve(nobody) },
  );

async function faultsOf(...args: Parameters<typeof parseWith>): Promise<readonly Fault[]> {
  const error: unknown = await parseWith(...args).catch((cause: unknown) => cause);
  if (!(error instanceof ConfigurationError))
    throw new Error("no ConfigurationError", { cause: error });
  return error.faults;
}

describe("a kernel of the user's own", () => {
  it("is a configuration of shipped fragments, as words or as Pulumi's list", async () => {
    const customKernel = { kind: "config", fragments: ["kasan", "lockdep"], files: [] };
    for (const kernelConfig of ["lockdep, kasan", '["kasan","lockdep"]'])
      expect(await parseWith({ "vexlab:kernelConfig": kernelConfig })).toMatchObject({
        customKernel,
        imageSource: { recipe: "debian-12" },
      });
  });

  it("is of the series that is configured", async () => {
    const keys = { "vexlab:kernel": "6.12", "vexlab:kernelConfig": "kasan" };
    expect(await parseWith(keys)).toMatchObject({ imageSource: { recipe: "debian-12-backports" } });
  });

  it("is a tree, relative to the checkout", async () => {
    const folder = await fakeTree();
    expect(await parseWith({ "vexlab:kernelTree": relative(checkout, folder) })).toMatchObject({
      customKernel: { kind: "tree", folder },
    });
  });

  it("is refused with all that is wrong", async () => {
    const folder = await fakeTree({ "Module.symvers": undefined });
    const faults = await faultsOf({
      "vexlab:kernelTree": folder,
      "vexlab:kernelConfig": "kasan",
      "vexlab:kernel": "6.12",
      "vexlab:memory": "4",
    });
    expect(faults.map(({ key }) => key).sort()).toEqual([
      "vexlab:kernel",
      "vexlab:kernelConfig",
      "vexlab:kernelTree",
      "vexlab:memory",
    ]);
    expect(
      (await faultsOf({ "vexlab:kernelConfig": "kasan,kcsan" })).map(({ problem }) => problem),
    ).toEqual(["no kernel can have both"]);
    expect(await faultsOf({ "vexlab:kernelConfig": '["kasan"' })).toMatchObject([
      { key: "vexlab:kernelConfig", problem: "is no list of words" },
    ]);
  });
});

describe("a right configuration", () => {
  it("is complete without any key", async () => {
    expect(await parseWith({})).toMatchObject({
      image: "debian-12",
      imageSource: { recipe: "debian-12" },
      memoryMiB: 4096,
      cpus: 4,
      sshPort: 2222,
      diskMiB: 20 * 1024,
      testDiskMiB: 1024,
      source: join(checkout, "examples/vexfs"),
      manifest: { name: "vexfs" },
      share: "readonly",
      buildOn: "host",
      accelerator: "auto",
      mode: "interactive",
      network: "isolated",
      libvirtUri: "qemu:///session",
      onFailure: "fail",
    });
  });

  it("takes no more than a small host has", async () => {
    const config = await parseWith({}, {}, { cpus: 2, memoryMiB: 3900 });
    expect(config).toMatchObject({ cpus: 2, memoryMiB: 2816 });
  });

  it("reads keys with and without namespace, and not those of others", async () => {
    const config = await parseWith({ "vexlab:memory": "1G", cpus: "3", "aws:region": "x" });
    expect(config).toMatchObject({ memoryMiB: 1024, cpus: 3 });
  });

  it("chooses the recipe by the kernel", async () => {
    const config = await parseWith({ kernel: "6.12", gdbPort: "1234", userData: "a-file" });
    expect(config).toMatchObject({
      imageSource: { recipe: "debian-12-backports" },
      gdbPort: 1234,
      userData: join(checkout, "a-file"),
    });
  });

  it("adds words to the kernel's command line", async () => {
    expect((await parseWith({})).kernelParameters).toEqual([]);
    const config = await parseWith({ kernelParameters: " slub_debug=FZPU  nosmt x.y=1,2 " });
    expect(config.kernelParameters).toEqual(["slub_debug=FZPU", "nosmt", "x.y=1,2"]);
  });

  it("lets an oops be a panic where nobody looks at the guest afterwards", async () => {
    expect((await parseWith({})).panicOnOops).toBe("forks");
    expect((await parseWith({ "vexlab:mode": "test" })).panicOnOops).toBe("always");
    expect((await parseWith({ mode: "test", panicOnOops: "never" })).panicOnOops).toBe("never");
  });

  it("is overridden by the environment, where that says something", async () => {
    const environment = {
      VEXFS_VM_MEMORY: "3G",
      VEXFS_VM_CPUS: "1",
      VEXFS_VM_SSH_PORT: "",
    };
    const config = await parseWith({ memory: "2G", sshPort: "2300" }, environment);
    expect(config).toMatchObject({ memoryMiB: 3072, cpus: 1, sshPort: 2300 });
  });
});

describe("a wrong configuration", () => {
  it.each([
    ["image", "debian-99"],
    ["kernel", "five"],
    ["memory", "4"],
    ["memory", "100M"],
    ["memory", "32G"],
    ["memory", "4 GB"],
    ["cpus", "0"],
    ["cpus", "two"],
    ["cpus", "2.5"],
    ["sshPort", "80"],
    ["sshPort", "65536"],
    ["sshPort", "0x8ae"],
    ["diskSize", "20"],
    ["diskSize", "1G"],
    ["testDiskSize", "1M"],
    ["source", "nowhere"],
    ["source", "a-file"],
    ["source", " "],
    ["share", "yes"],
    ["buildOn", "Host"],
    ["accelerator", "hvf"],
    ["kernelParameters", "nosmt root=/dev/vdb"],
    ["kernelParameters", "console=tty0"],
    ["kernelParameters", "quiet"],
    ["kernelParameters", 'dyndbg="file x +p"'],
    ["kernelParameters", "nosmt -- single"],
    ["kernelParameters", "tab\there"],
    ["panicOnOops", "true"],
    ["gdbPort", "on"],
    ["gdbPort", "2222"],
    ["mode", "batch"],
    ["network", "bridge"],
    ["userData", "no-such-file"],
    ["userData", "bare"],
    ["libvirtUri", "lxc:///"],
    ["libvirtUri", "qemu:///"],
    ["onFailure", "ignore"],
  ])("%s = %j is one fault with key, value and what is allowed", async (key, value) => {
    const faults = await faultsOf({ [`vexlab:${key}`]: value });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatchObject({ key: `vexlab:${key}`, value: expect.anything() as unknown });
    expect(faults[0]?.allowed).not.toMatch(/^$|documentation/);
  });

  it("has every fault reported at once, whatever else is wrong", async () => {
    const faults = await faultsOf(
      { memory: "4", cpus: "x", image: "nope", source: "faulty", "vexlab:memroy": "1G" },
      { VEXFS_VM_SSH_PORT: "22" },
    );
    expect(faults.map(({ key }) => key).sort()).toEqual([
      "VEXFS_VM_SSH_PORT",
      "vexlab:cpus",
      "vexlab:image",
      "vexlab:memory",
      "vexlab:memroy",
      "vexlab:source: module",
      "vexlab:source: name",
      "vexlab:source: suits",
    ]);
    expect(faults.find(({ key }) => key === "vexlab:memroy")?.problem).toContain("memory?");
  });

  it("names a source folder without manifest", async () => {
    const faults = await faultsOf({ source: "bare" });
    expect(faults).toMatchObject([{ key: "vexlab:source: vexlab.yaml" }]);
  });

  it("names a source folder in which the guest could read the keys of all stacks", async () => {
    const state = { VEXLAB_STATE_DIR: join(checkout, "examples/vexfs/.vexlab") };
    const faults = await faultsOf({}, state);
    expect(faults).toMatchObject([{ key: "vexlab:source", value: "examples/vexfs" }]);
    expect(faults[0]?.problem).toContain("could read the keys");
    const cache = { VEXLAB_CACHE_DIR: join(checkout, "examples/vexfs") };
    expect(await faultsOf({}, cache)).toHaveLength(1);
    const beside = { VEXLAB_STATE_DIR: join(checkout, "examples/vexfs-state") };
    await expect(parseWith({}, beside)).resolves.toBeDefined();
  });

  it("never fails in another way", async () => {
    const raw = fc.dictionary(fc.constantFrom(...stackKeys, "x", "__proto__"), fc.string());
    await fc.assert(
      fc.asyncProperty(raw, async (document) => {
        await parseWith(document).catch((error: unknown) => {
          if (!(error instanceof ConfigurationError)) throw error;
        });
      }),
    );
  });
});

describe("a source folder and another user", () => {
  it("names the first folder on the way that is closed", async () => {
    const root = await mkdtemp(join(tmpdir(), "closed-"));
    const inner = join(root, "a/b");
    await mkdir(inner, { recursive: true });
    await chmod(root, 0o755);
    expect(await readableBy(inner, nobody)).toBeUndefined();
    await chmod(inner, 0o711);
    expect(await readableBy(inner, nobody)).toBe(inner);
    await chmod(join(root, "a"), 0o700);
    expect(await readableBy(inner, nobody)).toBe(join(root, "a"));
    expect(await readableBy(inner, { ...nobody, uid: process.getuid?.() ?? 0 })).toBeUndefined();
  });

  it("is a fault with qemu:///system only", async () => {
    await chmod(checkout, 0o700);
    try {
      await parseWith({});
      const faults = await faultsOf({ libvirtUri: "qemu:///system" });
      expect(faults).toMatchObject([{ key: "vexlab:source" }]);
      expect(faults[0]?.problem).toContain(`${checkout} is closed to nobody`);
    } finally {
      await chmod(checkout, 0o755);
    }
  });
});

describe("an image that is downloaded", () => {
  const digest = "ab".repeat(32);
  const own = { image: "https://host/x.qcow2", imageDigest: digest };

  it("is built for in the guest", async () => {
    const config = await parseWith(own);
    expect(config).toMatchObject({ buildOn: "guest", firmware: "bios", allowUnverified: false });
    expect(config.imageSource).toEqual({
      download: {
        urls: ["https://host/x.qcow2"],
        check: { by: "digest", digest: `sha256:${digest}` },
      },
    });
  });

  it("of a distribution needs the network, for the headers of its kernel", async () => {
    const image = "ubuntu-24.04";
    expect(await faultsOf({ image })).toMatchObject([{ key: "vexlab:network", allowed: "nat" }]);
    const config = await parseWith({ image, network: "nat", firmware: "uefi" });
    expect(config.imageSource).toMatchObject({ download: { name: image } });
  });

  it("takes nothing that only a directly booted kernel has, and tells all of it", async () => {
    const direct = { buildOn: "host", kernelParameters: "debug", gdbPort: "1234" };
    expect((await faultsOf({ ...own, ...direct })).map(({ key }) => key)).toEqual([
      "vexlab:buildOn",
      "vexlab:kernelParameters",
      "vexlab:gdbPort",
    ]);
    const { image } = own;
    const others = { image, kernel: "6.12", imageKeyring: "no-such-file" };
    expect((await faultsOf(others)).map(({ key }) => key)).toEqual([
      "vexlab:imageKeyring",
      "vexlab:kernel",
    ]);
  });

  it("is not booted when nothing checks it", async () => {
    const { image } = own;
    expect(await faultsOf({ image })).toMatchObject([{ key: "vexlab:imageDigest" }]);
    const config = await parseWith({ image, allowUnverified: "true" });
    expect(config.imageSource).toMatchObject({ download: { check: { by: "nothing" } } });
    expect(await faultsOf({ image, allowUnverified: "yes" })).toMatchObject([
      { key: "vexlab:allowUnverified" },
      { key: "vexlab:imageDigest" },
    ]);
  });

  it("is what these keys are for, and no other", async () => {
    const faults = await faultsOf({ imageDigest: digest, imageVersion: "1", firmware: "uefi" });
    expect(faults.map(({ key }) => key)).toEqual([
      "vexlab:imageVersion",
      "vexlab:imageDigest",
      "vexlab:firmware",
    ]);
  });
});

describe("the shipped stacks", () => {
  it("are right and have ports of their own", async () => {
    const folder = join(repository, "stacks");
    const ports = new Set<number>();
    const files = (await readdir(folder)).filter((file) => /^Pulumi\..*\.yaml$/.test(file));
    expect(files).toEqual(expect.arrayContaining(["Pulumi.dev.yaml", "Pulumi.ci.yaml"]));
    for (const file of files) {
      const { config } = parse(await readFile(join(folder, file), "utf8")) as {
        config: Record<string, unknown>;
      };
      const raw = Object.fromEntries(Object.entries(config).map(([k, v]) => [k, String(v)]));
      ports.add((await parseWith(raw)).sshPort);
    }
    expect(ports.size).toBe(files.length);
  });
});

it("docs/configuration.md has the table of the schema", async () => {
  const page = await readFile(join(repository, "docs/configuration.md"), "utf8");
  // Prettier aligns the columns of the page.
  const plain = (text: string): string => text.replace(/ +/g, " ").replace(/-{3,}/g, "---");
  expect(plain(page)).toContain(plain(configurationTable()));
});
