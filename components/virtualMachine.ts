import * as libvirt from "@pulumi/libvirt";
import * as pulumi from "@pulumi/pulumi";
import { type ShareMode, share } from "../lab/guest/cloudInit.ts";
import type { Accelerator } from "../lab/hypervisor/accelerator.ts";
import { type BootLoader, domainXslt } from "../lab/hypervisor/domainXslt.ts";

export interface VirtualMachineArgs {
  /** The domain's name in libvirt. */
  domainName: pulumi.Input<string>;
  accelerator: Accelerator;
  /** Memory in MiB. */
  memoryMiB: pulumi.Input<number>;
  cpus: pulumi.Input<number>;
  /** Kernel and initrd of the image, booted directly; or the boot loader on the image's disk. */
  boot:
    | { kernel: pulumi.Input<string>; initrd: pulumi.Input<string> }
    | { firmware: BootLoader["firmware"]; imageFolder: pulumi.Input<string> };
  /** Becomes vda. */
  rootVolumeId: pulumi.Input<string>;
  /** Becomes vdb. */
  testDiskId: pulumi.Input<string>;
  /** Becomes vdc, read-only. */
  cloudInitId: pulumi.Input<string>;
  /** The host folder that is shared with the guest. */
  source: pulumi.Input<string>;
  /** Whether the guest may write to the share. */
  shareMode: ShareMode;
  /** Port of 127.0.0.1 that leads to the guest's SSH. */
  sshPort: number;
  /** Port of 127.0.0.1 for QEMU's gdb stub; none when undefined. */
  gdbPort?: number | undefined;
  /** Words added to the kernel's command line. */
  kernelParameters?: readonly string[];
  network: "isolated" | "nat";
  /** The file that gets the serial console. */
  consoleFile: string;
  /** The socket that leads to vexlab's agent in the guest; none when undefined. */
  controlSocket?: string | undefined;
}

/**
 * The libvirt domain: always defined as a cold boot that stands on its own. Whether it runs is the
 * engine's business, so a stopped guest is no difference.
 */
export class VirtualMachine extends pulumi.ComponentResource {
  /** libvirt's UUID of the domain. */
  readonly domainId: pulumi.Output<string>;
  readonly domainName: pulumi.Output<string>;

  constructor(name: string, args: VirtualMachineArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vexlab:index:VirtualMachine", name, {}, opts);
    const domain = new libvirt.Domain(
      `${name}-domain`,
      {
        name: args.domainName,
        type: args.accelerator === "kvm" ? "kvm" : "qemu",
        memory: args.memoryMiB,
        vcpu: args.cpus,
        ...(args.accelerator === "kvm" ? { cpu: { mode: "host-passthrough" } } : {}),
        ...("kernel" in args.boot ? args.boot : {}),
        // The cloud-init volume as a plain disk: a CD-ROM costs a slow ATA probe at every boot.
        disks: [args.rootVolumeId, args.testDiskId, args.cloudInitId].map((volumeId) => ({
          volumeId,
        })),
        filesystems: [
          {
            source: args.source,
            target: share.tag,
            readonly: args.shareMode === "readonly",
            // security_model=none: files that the guest writes belong to QEMU's user.
            accessmode: "squash",
          },
        ],
        xml: {
          xslt: stylesheet(args),
        },
      },
      {
        parent: this,
        deleteBeforeReplace: true,
        // The provider neither updates nor replaces on kernel, disks and shares by itself.
        replaceOnChanges: [
          "name",
          "type",
          "memory",
          "vcpu",
          "cpu",
          "kernel",
          "initrd",
          "disks",
          "filesystems",
          "xml",
        ],
        // Power is the engine's; the command line is the stylesheet's, since of `cmdlines` the
        // provider drops keys without a value and never reads bare words back.
        // `firmware` is the stylesheet's too, since the provider knows of no other than flash with
        // variables, and reads back whatever is there.
        ignoreChanges: ["running", "cmdlines", "firmware"],
      },
    );
    this.domainId = domain.id;
    this.domainName = domain.name;
    this.registerOutputs({ domainId: this.domainId, domainName: this.domainName });
  }
}

function stylesheet(args: VirtualMachineArgs): pulumi.Input<string> {
  const { boot, accelerator, gdbPort } = args;
  const settings = {
    consoleFile: args.consoleFile,
    controlSocket: args.controlSocket,
    sshPort: args.sshPort,
    gdbPort,
    network: args.network,
  };
  if ("kernel" in boot) {
    const own = kernelParameters(accelerator, gdbPort !== undefined);
    return domainXslt({
      ...settings,
      kernelParameters: [...own, ...(args.kernelParameters ?? [])],
    });
  }
  const { firmware } = boot;
  return pulumi
    .output(boot.imageFolder)
    .apply((imageFolder) => domainXslt({ ...settings, loader: { firmware, imageFolder } }));
}

/**
 * What an emulated guest is given beside it: the kernel's check that timer interrupts come in time
 * panics on a busy host; and QEMU keeps translated code by its address, so that with random ones each
 * program that starts is translated anew, which takes it three times as long.
 */
const emulated = ["no_timer_check", "norandmaps"];

/** Kernel parameters: Documentation/admin-guide/kernel-parameters.txt. */
function kernelParameters(accelerator: Accelerator, debugged: boolean): string[] {
  return [
    ...["root=/dev/vda", "rw", "console=ttyS0"],
    ...(accelerator === "tcg" ? emulated : []),
    // gdb needs the addresses of the symbol table.
    ...(debugged ? ["nokaslr"] : []),
  ];
}
