import * as libvirt from "@pulumi/libvirt";
import * as pulumi from "@pulumi/pulumi";
import { diskNames } from "../lab/hypervisor/diskNames.ts";
import { backingStoreXslt } from "../lab/hypervisor/volumeXslt.ts";

export interface RootVolumeArgs {
  /** The pool to make it in. */
  pool: pulumi.Input<string>;
  /** The image's root disk (qcow2), which the volume is an overlay on. */
  rootDisk: pulumi.Input<string>;
  /** Size of the disk that the guest sees, in bytes. */
  bytes: pulumi.Input<number>;
}

/** The guest's root disk: a qcow2 overlay on an image, holding only what the guest writes. */
export class RootVolume extends pulumi.ComponentResource {
  readonly volumeId: pulumi.Output<string>;

  constructor(name: string, args: RootVolumeArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vexlab:index:RootVolume", name, {}, opts);
    // The provider's own base volumes must lie in a libvirt pool, and its `source` is streamed
    // through libvirt: the backing file is named in the volume's XML instead, and nothing is copied.
    const volume = new libvirt.Volume(
      `${name}-overlay`,
      {
        name: diskNames.root,
        pool: args.pool,
        format: "qcow2",
        size: args.bytes,
        xml: { xslt: pulumi.output(args.rootDisk).apply(backingStoreXslt) },
      },
      { parent: this, deleteBeforeReplace: true, replaceOnChanges: ["*"] },
    );
    this.volumeId = volume.id;
    this.registerOutputs({ volumeId: this.volumeId });
  }
}
