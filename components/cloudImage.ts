import * as pulumi from "@pulumi/pulumi";
import type { RecipeName } from "../lab/config/recipes.ts";
import { runVerb } from "./verb.ts";

export interface CloudImageArgs {
  /** The recipe that the configured image and kernel lead to. */
  recipe: RecipeName;
  /** The hash of the recipe's content: a changed recipe is built again. */
  recipeHash: pulumi.Input<string>;
  /** The stack that uses the image: a used image is not pruned. */
  stack: pulumi.Input<string>;
}

interface ImageFiles {
  readonly id: string;
  readonly rootDisk: string;
  readonly kernel: string;
  readonly initrd: string;
  readonly kernelRelease: string;
}

/** An image in the user's cache, built from its recipe unless it is there already. */
export class CloudImage extends pulumi.ComponentResource {
  /** Its key: the recipe and a hash of its content and of the resolved package versions. */
  readonly imageId: pulumi.Output<string>;
  /** The qcow2 file that root volumes are overlays on. */
  readonly rootDisk: pulumi.Output<string>;
  readonly kernel: pulumi.Output<string>;
  readonly initrd: pulumi.Output<string>;
  /** What `uname -r` says in a guest of it. */
  readonly kernelRelease: pulumi.Output<string>;

  constructor(name: string, args: CloudImageArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vexlab:index:CloudImage", name, {}, opts);
    const image = runVerb<ImageFiles>(
      `${name}-build`,
      {
        noun: "image",
        create: "build",
        input: { recipe: args.recipe, stack: args.stack },
        triggers: [args.recipeHash],
      },
      { parent: this },
    ).result;
    this.imageId = image.id;
    this.rootDisk = image.rootDisk;
    this.kernel = image.kernel;
    this.initrd = image.initrd;
    this.kernelRelease = image.kernelRelease;
    this.registerOutputs({ imageId: this.imageId, kernelRelease: this.kernelRelease });
  }
}
