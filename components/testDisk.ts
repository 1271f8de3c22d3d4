import * as libvirt from "@pulumi/libvirt";
import * as pulumi from "@pulumi/pulumi";
import { diskNames } from "../lab/hypervisor/diskNames.ts";

export interface TestDiskArgs {
  /** The pool to make it in. */
  pool: pulumi.Input<string>;
  /** Size in bytes. */
  bytes: pulumi.Input<number>;
}

/** An empty disk for mkfs and mount; the guest finds it by its serial number. */
export class TestDisk extends pulumi.ComponentResource {
  readonly volumeId: pulumi.Output<string>;

  constructor(name: string, args: TestDiskArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vexlab:index:TestDisk", name, {}, opts);
    const volume = new libvirt.Volume(
      `${name}-volume`,
      { name: diskNames.test, pool: args.pool, format: "qcow2", size: args.bytes },
      { parent: this, deleteBeforeReplace: true, replaceOnChanges: ["*"] },
    );
    this.volumeId = volume.id;
    this.registerOutputs({ volumeId: this.volumeId });
  }
}
