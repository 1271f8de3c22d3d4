import { pathToFileURL } from "node:url";
import * as libvirt from "@pulumi/libvirt";
import * as pulumi from "@pulumi/pulumi";
import { diskNames } from "../lab/hypervisor/diskNames.ts";
import { type CloudInitSettings, cloudInitDocuments } from "../lab/guest/cloudInit.ts";
import { diskFile, ensureDisk } from "../lab/guest/cloudInitDisk.ts";
import { endProgram } from "./programError.ts";

export interface CloudInitDiskArgs {
  /** The pool to make it in. */
  pool: pulumi.Input<string>;
  /** The stack's folder, where the disk is made that the volume is a copy of. */
  folder: pulumi.Input<string>;
  /** What the guest is told about itself. */
  settings: { [Key in keyof CloudInitSettings]: pulumi.Input<CloudInitSettings[Key]> };
}

/** The NoCloud disk: user, key, source mount, guest programs and the user's own cloud-config. */
export class CloudInitDisk extends pulumi.ComponentResource {
  readonly volumeId: pulumi.Output<string>;

  constructor(name: string, args: CloudInitDiskArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vexlab:index:CloudInitDisk", name, {}, opts);
    const source = pulumi.all([args.settings, args.folder]).apply(async ([settings, folder]) => {
      const documents = cloudInitDocuments(settings);
      const file = diskFile(folder, documents);
      // What the provider is about to copy. Not by a verb: each is a twentieth of a start from a warm
      // image, and here a file that somebody removed is made again.
      if (!pulumi.runtime.isDryRun()) await ensureDisk(documents, file).catch(endProgram);
      return pathToFileURL(file).href;
    });
    const volume = new libvirt.Volume(
      `${name}-iso`,
      { name: diskNames.cloudInit, pool: args.pool, format: "raw", source },
      {
        parent: this,
        deleteBeforeReplace: true,
        replaceOnChanges: ["*"],
        // libvirt sees what is in a raw disk when it reads its pool again, and calls it iso.
        ignoreChanges: ["format"],
      },
    );
    this.volumeId = volume.id;
    this.registerOutputs({ volumeId: this.volumeId });
  }
}
