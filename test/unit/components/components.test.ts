import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as pulumi from "@pulumi/pulumi";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { CloudImage } from "../../../components/cloudImage.ts";
import { CloudInitDisk } from "../../../components/cloudInitDisk.ts";
import { GuestReady } from "../../../components/guestReady.ts";
import { Hypervisor } from "../../../components/hypervisor.ts";
import { ModuleBuild } from "../../../components/moduleBuild.ts";
import { ModuleTest } from "../../../components/moduleTest.ts";
import { RootVolume } from "../../../components/rootVolume.ts";
import { SshKey } from "../../../components/sshKey.ts";
import { StackFolder } from "../../../components/stackFolder.ts";
import { StoragePool } from "../../../components/storagePool.ts";
import { TestDisk } from "../../../components/testDisk.ts";
import { VirtualMachine } from "../../../components/virtualMachine.ts";
import { checkText, type CloudImageCheck } from "../../../lab/config/cloudImages.ts";
import { readDocuments } from "../../../lab/guest/cloudInitDisk.ts";
import { type Declared, mockEngine, only, valueOf, verbInputOf } from "./mocks.ts";

const COMMAND = "command:local:Command";
const DOMAIN = "libvirt:index/domain:Domain";
const VOLUME = "libvirt:index/volume:Volume";

let declared: Declared[];

beforeEach(async () => {
  declared = await mockEngine({
    "image build": {
      id: "debian-12-abc",
      rootDisk: "/cache/root.qcow2",
      kernel: "/cache/vmlinuz",
      initrd: "/cache/initrd",
      kernelRelease: "6.1.0-1-amd64",
    },
    "key create": {
      publicKey: "ssh-ed25519 AAAA vexlab",
      privateKeyFile: "/state/id_ed25519",
      knownHostsFile: "/state/known_hosts",
    },
    "stack prepare": { folder: "/state" },
    "vm wait": { kernelRelease: "6.1.0-1-amd64", bootSeconds: 40 },
    "module build": { sourceHash: "1".repeat(64) },
    "module test": { verdict: "passed", files: { log: "/r/log", junit: "/r/x", json: "/r/j" } },
  });
});

// Outputs of components are registered after a test has what it looks at.
afterEach(async () => {
  await pulumi.runtime.disconnect();
});

const guest = {
  host: "127.0.0.1",
  port: 2222,
  user: "vexfs",
  privateKeyFile: "/state/id_ed25519",
  knownHostsFile: "/state/known_hosts",
};

const machineArgs = {
  domainName: "vexlab-unit",
  accelerator: "tcg",
  memoryMiB: 2048,
  cpus: 2,
  boot: { kernel: "/cache/vmlinuz", initrd: "/cache/initrd" },
  rootVolumeId: "/pool/root.qcow2",
  testDiskId: "/pool/test.qcow2",
  cloudInitId: "/pool/seed.img",
  source: "/src",
  shareMode: "readonly",
  sshPort: 2222,
  network: "isolated",
  consoleFile: "/state/console.log",
} as const;

describe("CloudImage", () => {
  const args = { image: { recipe: "debian-12", hash: "h1" }, stack: "unit" } as const;

  test("gives the files that the verb reports", async () => {
    const image = new CloudImage("image", args);
    expect(await valueOf(image.imageId)).toBe("debian-12-abc");
    expect(await valueOf(image.rootDisk)).toBe("/cache/root.qcow2");
    expect(await valueOf(image.direct?.kernel ?? image.rootDisk)).toBe("/cache/vmlinuz");
  });

  test("depends on the recipe only, never on what the cache holds", async () => {
    await valueOf(new CloudImage("image", args).imageId);
    const command = only(declared, COMMAND);
    expect(command.inputs["triggers"]).toEqual(["h1"]);
    expect(verbInputOf(command)).toEqual({ recipe: "debian-12", stack: "unit" });
  });
});

describe("an image that is downloaded", () => {
  const urls = ["https://host/x.qcow2"];
  const source = (check: CloudImageCheck) => ({
    ...{ stack: "unit", image: { download: { urls, check }, hash: "h2", diskMiB: 4096 } },
  });
  const declare = async (check: CloudImageCheck): Promise<CloudImage> => {
    const { image, stack } = source(check);
    const made = new CloudImage("image", { stack, image: { ...image, checked: checkText(check) } });
    await valueOf(made.imageId);
    return made;
  };

  test("says in the preview that nothing checks it", async () => {
    const warn = vi.spyOn(pulumi.log, "warn").mockResolvedValue();
    const image = await declare({ by: "nothing" });
    expect(image.direct).toBeUndefined();
    expect(verbInputOf(only(declared, COMMAND))).toMatchObject({
      checked: "NOT VERIFIED (vexlab:allowUnverified)",
    });
    const [told] = warn.mock.calls[0] ?? [];
    expect(told).toMatch(/https:\/\/host\/x\.qcow2 is NOT VERIFIED: vexlab:allowUnverified is set/);
    warn.mockRestore();
  });

  test("has no warning when something does", async () => {
    const warn = vi.spyOn(pulumi.log, "warn").mockResolvedValue();
    await declare({ by: "digest", digest: "sha256:00" });
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
    expect(only(declared, COMMAND).inputs["triggers"]).toEqual(["h2"]);
  });

  test("boots by its own boot loader", async () => {
    const boot = { firmware: "uefi", imageFolder: "/cache/images/x" } as const;
    await valueOf(new VirtualMachine("machine", { ...machineArgs, boot }).domainId);
    const { inputs } = only(declared, DOMAIN);
    expect([inputs["kernel"], inputs["initrd"]]).toEqual([undefined, undefined]);
    const { xslt } = inputs["xml"] as { xslt: string };
    expect(xslt).toMatch(/OVMF\.fd[^]*\/cache\/images\/x/);
    expect(xslt).not.toContain("cmdline");
  });
});

describe("SshKey and StackFolder", () => {
  test("no private key reaches the state, only its path", async () => {
    const key = new SshKey("key", { stack: "unit", folder: "/state" });
    expect(await valueOf(key.publicKey)).toBe("ssh-ed25519 AAAA vexlab");
    expect(await valueOf(key.privateKeyFile)).toBe("/state/id_ed25519");
    expect(JSON.stringify(declared)).not.toContain("PRIVATE KEY");
  });

  test("both go with the stack", async () => {
    const { folder } = new StackFolder("folder", { stack: "unit" });
    await valueOf(new SshKey("key", { stack: "unit", folder }).publicKey);
    const undone = declared.filter(({ type }) => type === COMMAND).map((one) => one.inputs);
    expect(undone.map((inputs) => inputs["delete"])).toEqual(["remove", "remove"]);
  });
});

describe("Hypervisor", () => {
  test("is the daemon, which stops with the stack, and the provider", async () => {
    const { provider, daemon } = new Hypervisor("hypervisor", { libvirtUri: "qemu:///session" });
    expect(await valueOf(provider.uri)).toMatch(
      /^qemu:\/\/\/session\?socket=\/.*run\/[0-9a-f]{8}\/npm-run-recover\/libvirt-sock$/,
    );
    await valueOf(daemon.urn);
    const command = only(declared, COMMAND);
    expect(command.inputs).toMatchObject({ delete: "stop" });
    expect(command.inputs).not.toHaveProperty("create");
  });

  test("takes other URIs as they are", async () => {
    const { provider } = new Hypervisor("hypervisor", { libvirtUri: "qemu:///system" });
    expect(await valueOf(provider.uri)).toBe("qemu:///system");
  });
});

describe("disks", () => {
  test("StoragePool is a folder", async () => {
    const pool = new StoragePool("pool", { poolName: "vexlab-unit", folder: "/state/pool" });
    expect(await valueOf(pool.poolName)).toBe("vexlab-unit");
    expect(only(declared, "libvirt:index/pool:Pool").inputs).toMatchObject({
      type: "dir",
      target: { path: "/state/pool" },
    });
  });

  test("RootVolume is an overlay on the image, of the configured size", async () => {
    const root = new RootVolume("root", { pool: "p", rootDisk: "/cache/r&d.qcow2", bytes: 1024 });
    await valueOf(root.volumeId);
    const { inputs } = only(declared, VOLUME);
    expect(inputs).toMatchObject({ format: "qcow2", size: 1024, pool: "p" });
    expect(inputs).not.toHaveProperty("source");
    expect((inputs["xml"] as { xslt: string }).xslt).toContain("<path>/cache/r&amp;d.qcow2</path>");
  });

  test("TestDisk is empty and of the configured size", async () => {
    await valueOf(new TestDisk("test-disk", { pool: "p", bytes: 2048 }).volumeId);
    const { inputs } = only(declared, VOLUME);
    expect(inputs).toMatchObject({ format: "qcow2", size: 2048 });
    expect(inputs).not.toHaveProperty("xml");
  });

  describe("CloudInitDisk", () => {
    let folder: string;
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), "vexlab-components-"));
    });
    afterEach(() => rm(folder, { recursive: true }));

    const declare = (): CloudInitDisk =>
      new CloudInitDisk("cloud-init", {
        pool: "p",
        folder,
        settings: {
          user: "vexfs",
          publicKey: "ssh-ed25519 AAAA vexlab",
          hostname: "vexlab-unit",
          shareMode: "readonly",
          files: [],
        },
      });

    test("is a copy of a disk with the documents", async () => {
      await valueOf(declare().volumeId);
      const { inputs } = only(declared, VOLUME);
      const { userData, metaData } = await readDocuments(fileURLToPath(inputs["source"] as string));
      expect(userData).toMatch(/^#cloud-config\n/);
      expect(userData).toContain("ssh-ed25519 AAAA vexlab");
      expect(metaData).toContain("instance-id");
      // The provider attaches a volume of that name as a CD-ROM.
      expect(inputs["name"]).not.toMatch(/\.iso$/);
    });

    test("makes nothing in a preview, and is the same there", async () => {
      vi.spyOn(pulumi.runtime, "isDryRun").mockReturnValue(true);
      await valueOf(declare().volumeId);
      const planned = only(declared, VOLUME).inputs["source"] as string;
      expect(await readdir(folder)).toEqual([]);
      vi.mocked(pulumi.runtime.isDryRun).mockRestore();
      declared.length = 0;
      await valueOf(declare().volumeId);
      expect(only(declared, VOLUME).inputs["source"]).toBe(planned);
    });
  });
});

describe("VirtualMachine", () => {
  test("is a cold boot that stands on its own", async () => {
    await valueOf(new VirtualMachine("machine", machineArgs).domainId);
    const { inputs } = only(declared, DOMAIN);
    expect(inputs).toMatchObject({ type: "qemu", memory: 2048, vcpu: 2, kernel: "/cache/vmlinuz" });
    expect(JSON.stringify(inputs)).not.toMatch(/incoming|loadvm/);
    expect(inputs["disks"]).toEqual([
      { volumeId: "/pool/root.qcow2" },
      { volumeId: "/pool/test.qcow2" },
      { volumeId: "/pool/seed.img" },
    ]);
  });

  test.each([
    ["readonly", true],
    ["readwrite", false],
  ] as const)("a %s share", async (shareMode, readonly) => {
    await valueOf(new VirtualMachine("machine", { ...machineArgs, shareMode }).domainId);
    expect(only(declared, DOMAIN).inputs["filesystems"]).toEqual([
      { source: "/src", target: "vexfs-src", readonly, accessmode: "squash" },
    ]);
  });

  test("KVM uses the host's processor", async () => {
    await valueOf(new VirtualMachine("machine", { ...machineArgs, accelerator: "kvm" }).domainId);
    const { inputs } = only(declared, DOMAIN);
    expect(inputs).toMatchObject({ type: "kvm", cpu: { mode: "host-passthrough" } });
    expect((inputs["xml"] as { xslt: string }).xslt).not.toContain("norandmaps");
  });

  test("an emulated guest has no random addresses, which would be translated again and again", async () => {
    await valueOf(new VirtualMachine("machine", machineArgs).domainId);
    const { xslt } = only(declared, DOMAIN).inputs["xml"] as { xslt: string };
    expect(xslt).toMatch(/console=ttyS0 .*norandmaps</);
  });

  test("the kernel gets the words of the stack after vexlab's own", async () => {
    const kernelParameters = ["slub_debug=FZPU", "nosmt"];
    await valueOf(new VirtualMachine("machine", { ...machineArgs, kernelParameters }).domainId);
    const { xslt } = only(declared, DOMAIN).inputs["xml"] as { xslt: string };
    expect(xslt).toMatch(/console=ttyS0 .*slub_debug=FZPU nosmt</);
  });

  test("a guest under gdb keeps its addresses", async () => {
    await valueOf(new VirtualMachine("machine", { ...machineArgs, gdbPort: 1234 }).domainId);
    const { xslt } = only(declared, DOMAIN).inputs["xml"] as { xslt: string };
    expect(xslt).toContain("nokaslr");
    expect(xslt).toContain("tcp:127.0.0.1:1234");
  });
});

describe("GuestReady", () => {
  const args = {
    stack: "unit",
    libvirtUri: "qemu:///session",
    domainId: "uuid-1",
    user: "vexfs",
    sshPort: 2222,
    privateKeyFile: "/state/id_ed25519",
    knownHostsFile: "/state/known_hosts",
    consoleFile: "/state/console.log",
    warm: "auto" as const,
  };

  test("waits for each new domain", async () => {
    expect(await valueOf(new GuestReady("guest", args).kernelRelease)).toBe("6.1.0-1-amd64");
    const wait = declared.find(({ inputs }) => inputs["create"] === "wait");
    expect(wait?.inputs["triggers"]).toEqual(["uuid-1"]);
  });
});

describe("ModuleBuild", () => {
  const args = { stack: "unit", source: "/src", sourceHash: "s1", imageId: "i1", guest };

  test("runs again when the sources change", async () => {
    await valueOf(new ModuleBuild("module", { ...args, buildOn: "host" }).build);
    const command = only(declared, COMMAND);
    expect(command.inputs["triggers"]).toEqual(["s1"]);
    expect(verbInputOf(command)).not.toHaveProperty("guest");
  });

  test("gets the guest's address to build there", async () => {
    await valueOf(new ModuleBuild("module", { ...args, buildOn: "guest" }).build);
    expect(verbInputOf(only(declared, COMMAND))).toMatchObject({ buildOn: "guest", guest });
  });
});

describe("ModuleTest", () => {
  test("runs again for a new domain and after a failure, and gives verdict and logs", async () => {
    const moduleTest = new ModuleTest("test", {
      stack: "unit",
      libvirtUri: "qemu:///system",
      domainName: "vexlab-unit",
      domainId: "uuid-1",
      guest,
      consoleFile: "/state/console.log",
      build: { sourceHash: "1" } as never,
      lastFailure: "run-7",
      onFailure: "report",
      stopAfter: true,
      panicOnOops: "always",
      warm: "auto",
    });
    expect(await valueOf(moduleTest.verdict)).toBe("passed");
    expect(await valueOf(moduleTest.files)).toMatchObject({ log: "/r/log" });
    const command = only(declared, COMMAND);
    expect(command.inputs["triggers"]).toEqual(["uuid-1", "run-7"]);
    expect(verbInputOf(command)).toMatchObject({
      ...{ onFailure: "report", stopAfter: true, panicOnOops: "always" },
    });
  });
});

test("no command resource hands anything to a shell", async () => {
  await valueOf(
    new CloudImage("i", { image: { recipe: "debian-12", hash: "h" }, stack: "u" }).imageId,
  );
  await valueOf(new StackFolder("folder", { stack: "u; rm -rf ~" }).folder);
  for (const { inputs } of declared.filter(({ type }) => type === COMMAND)) {
    expect((inputs["interpreter"] as string[])[0]).toBe("scripts/vexlab");
    expect(inputs["create"]).toMatch(/^[a-z]+$/);
  }
});
