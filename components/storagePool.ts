import * as libvirt from "@pulumi/libvirt";
import * as pulumi from "@pulumi/pulumi";
import { childOf } from "./verb.ts";

export interface StoragePoolArgs {
  /** Its name in libvirt. */
  poolName: pulumi.Input<string>;
  /** Its folder, which libvirt makes and removes: nothing else may be put there. */
  folder: pulumi.Input<string>;
}

/** The folder of a stack's volumes. */
export class StoragePool extends pulumi.ComponentResource {
  readonly poolName: pulumi.Output<string>;

  constructor(name: string, args: StoragePoolArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vexlab:index:StoragePool", name, {}, opts);
    const pool = new libvirt.Pool(
      `${name}-dir`,
      { name: args.poolName, type: "dir", target: { path: args.folder } },
      { ...childOf(this, opts), deleteBeforeReplace: true },
    );
    this.poolName = pool.name;
    this.registerOutputs({ poolName: this.poolName });
  }
}
