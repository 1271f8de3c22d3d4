/**
 * vexlab as a Pulumi program: the stack's configuration becomes a guest, and the module under test
 * is built, loaded and tested in it.
 */
import * as pulumi from "@pulumi/pulumi";
import { CloudImage } from "./components/cloudImage.ts";
import { CloudInitDisk } from "./components/cloudInitDisk.ts";
import { GuestReady } from "./components/guestReady.ts";
import { Hypervisor } from "./components/hypervisor.ts";
import { ModuleBuild } from "./components/moduleBuild.ts";
import { ModuleTest } from "./components/moduleTest.ts";
import { endProgram } from "./components/programError.ts";
import { RootVolume } from "./components/rootVolume.ts";
import { SshKey } from "./components/sshKey.ts";
import { StackFolder } from "./components/stackFolder.ts";
import { StoragePool } from "./components/storagePool.ts";
import { TestDisk } from "./components/testDisk.ts";
import { VirtualMachine } from "./components/virtualMachine.ts";
import { planStack } from "./lab/stackPlan.ts";

const stack = pulumi.getStack();
const plan = await planStack(stack, pulumi.runtime.allConfig()).catch(endProgram);
const { config, domainName, consoleFile, user } = plan;

const hypervisor = new Hypervisor("hypervisor", { libvirtUri: config.libvirtUri });
const onHypervisor = { providers: { libvirt: hypervisor.provider } };

const image = new CloudImage("image", {
  image: plan.image,
  stack,
});
const { folder } = new StackFolder("folder", { stack });
// Beside the folder, not after it: of a start from a warm image each verb is a twentieth.
const key = new SshKey("key", { stack, folder: plan.folder });
const pool = new StoragePool(
  "pool",
  { poolName: domainName, folder: pulumi.interpolate`${folder}/pool` },
  { ...onHypervisor, dependsOn: [hypervisor.daemon] },
);
const root = new RootVolume(
  "root",
  { pool: pool.poolName, rootDisk: image.rootDisk, bytes: config.diskMiB * 2 ** 20 },
  onHypervisor,
);
const testDisk = new TestDisk(
  "test-disk",
  { pool: pool.poolName, bytes: config.testDiskMiB * 2 ** 20 },
  onHypervisor,
);
const cloudInit = new CloudInitDisk(
  "cloud-init",
  {
    pool: pool.poolName,
    folder,
    settings: {
      user,
      publicKey: key.publicKey,
      hostname: domainName,
      shareMode: config.share,
      files: plan.guestFiles,
      ...(plan.kernelScript === undefined ? {} : { kernelScript: plan.kernelScript }),
      ...(plan.userData === undefined ? {} : { userData: plan.userData }),
    },
  },
  onHypervisor,
);
const machine = new VirtualMachine(
  "machine",
  {
    domainName,
    accelerator: plan.accelerator,
    memoryMiB: config.memoryMiB,
    cpus: config.cpus,
    boot: image.direct ?? { firmware: config.firmware, imageFolder: image.folder },
    rootVolumeId: root.volumeId,
    testDiskId: testDisk.volumeId,
    cloudInitId: cloudInit.volumeId,
    source: config.source,
    shareMode: config.share,
    sshPort: config.sshPort,
    gdbPort: config.gdbPort,
    kernelParameters: config.kernelParameters,
    network: config.network,
    consoleFile,
    controlSocket: plan.controlSocket,
  },
  onHypervisor,
);

const guest = {
  host: "127.0.0.1",
  port: config.sshPort,
  user,
  privateKeyFile: key.privateKeyFile,
  knownHostsFile: key.knownHostsFile,
};
const ready = new GuestReady(
  "guest",
  {
    stack,
    libvirtUri: config.libvirtUri,
    domainId: machine.domainId,
    user,
    sshPort: config.sshPort,
    privateKeyFile: key.privateKeyFile,
    knownHostsFile: key.knownHostsFile,
    consoleFile,
    warm: config.warm,
    ...(plan.bootSeconds === undefined ? {} : { deadlineSeconds: plan.bootSeconds }),
  },
  { dependsOn: [machine] },
);
const module = new ModuleBuild(
  "module",
  {
    stack,
    source: config.source,
    sourceHash: plan.sourceHash,
    imageId: image.imageId,
    buildOn: config.buildOn,
    suites: plan.suites,
    guest,
  },
  { dependsOn: config.buildOn === "guest" ? [ready] : [] },
);
const test = new ModuleTest(
  "test",
  {
    stack,
    libvirtUri: config.libvirtUri,
    domainName,
    domainId: machine.domainId,
    guest,
    consoleFile,
    build: module.build,
    lastFailure: plan.lastFailure,
    onFailure: config.onFailure,
    stopAfter: config.mode === "test",
    panicOnOops: config.panicOnOops,
    warm: config.warm,
    suites: plan.suites,
  },
  { dependsOn: [ready] },
);

export const sshCommand = pulumi.interpolate`ssh -i ${key.privateKeyFile} -o UserKnownHostsFile=${key.knownHostsFile} -p ${config.sshPort} ${user}@127.0.0.1`;
export { consoleFile };
export const imageId = image.imageId;
export const kernelRelease = ready.kernelRelease;
export const verdict = test.verdict;
export const logs = test.files;
