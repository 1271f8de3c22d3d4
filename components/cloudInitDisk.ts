import * as libvirt from "@pulumi/libvirt";
import * as pulumi from "@pulumi/pulumi";
import { diskNames } from "../lab/hypervisor/diskNames.ts";
import { type CloudInitSettings, cloudInitDocuments } from "../lab/guest/cloudInit.ts";

export interface CloudInitDiskArgs {
  /** The pool to make it in. */
  pool: pulumi.Input<string>;
  /** What the guest is told about itself. */
  settings: { [Key in keyof CloudInitSettings]: pulumi.Input<CloudInitSettings[Key]> };
}

/** The NoCloud disk: user, key, source mount, guest programs and the user's own cloud-config. */
export class CloudInitDisk extends pulumi.ComponentResource {
  readonly volumeId: pulumi.Output<string>;

  constructor(name: string, args: CloudInitDiskArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vexlab:index:CloudInitDisk", name, {}, opts);
    const documents = pulumi
      .output(args.settings)
      .apply((settings) => cloudInitDocuments(settings as CloudInitSettings));
    const disk = new libvirt.CloudinitDisk(
      `${name}-iso`,
      {
        name: diskNames.cloudInit,
        pool: args.pool,
        userData: documents.userData,
        metaData: documents.metaData,
        networkConfig: documents.networkConfig,
      },
      { parent: this, deleteBeforeReplace: true, replaceOnChanges: ["*"] },
    );
    // The provider's id is "path;uuid": the volume is known by its path.
    this.volumeId = disk.id.apply((id) => id.replace(/;[^;]*$/, ""));
    this.registerOutputs({ volumeId: this.volumeId });
  }
}
