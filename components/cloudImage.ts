import * as pulumi from "@pulumi/pulumi";
import type { ImagePlan } from "../lab/stackPlan.ts";
import { runVerb } from "./verb.ts";

export interface CloudImageArgs {
  /** What is built or downloaded. What has another hash is made again. */
  image: ImagePlan;
  /** The stack that uses the image: a used image is not pruned. */
  stack: pulumi.Input<string>;
}

interface ImageFiles {
  readonly id: string;
  readonly folder: string;
  readonly rootDisk: string;
  readonly kernel?: string;
  readonly initrd?: string;
}

/** An image in the user's cache, built or downloaded unless it is there already. */
export class CloudImage extends pulumi.ComponentResource {
  /** Its key: the recipe and a hash of its content and of the resolved package versions. */
  readonly imageId: pulumi.Output<string>;
  /** The qcow2 file that root volumes are overlays on. */
  readonly rootDisk: pulumi.Output<string>;
  /** What is booted directly; undefined when the image has a boot loader. */
  readonly direct?: {
    readonly kernel: pulumi.Output<string>;
    readonly initrd: pulumi.Output<string>;
  };
  readonly folder: pulumi.Output<string>;

  constructor(name: string, args: CloudImageArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vexlab:index:CloudImage", name, {}, opts);
    const { hash, ...what } = args.image;
    const image = runVerb<ImageFiles>(
      `${name}-build`,
      {
        noun: "image",
        create: "build",
        input: { ...what, stack: args.stack },
        triggers: [hash],
      },
      { parent: this },
    ).result;
    this.imageId = image.id;
    this.rootDisk = image.rootDisk;
    this.folder = image.folder;
    if ("recipe" in args.image)
      this.direct = {
        kernel: image.apply(({ kernel = "" }) => kernel),
        initrd: image.apply(({ initrd = "" }) => initrd),
      };
    else if (args.image.download.check.by === "nothing")
      void pulumi.log.warn(
        `the image from ${args.image.download.urls.join(", ")} is NOT VERIFIED: vexlab:allowUnverified is set`,
        this,
      );
    this.registerOutputs({ imageId: this.imageId });
  }
}
