import * as pulumi from "@pulumi/pulumi";
import { runVerb } from "./verb.ts";

export interface StackFolderArgs {
  stack: pulumi.Input<string>;
}

/** The stack's folder on the host; everything in it goes with the stack. */
export class StackFolder extends pulumi.ComponentResource {
  readonly folder: pulumi.Output<string>;

  constructor(name: string, args: StackFolderArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vexlab:index:StackFolder", name, {}, opts);
    const { result } = runVerb<{ readonly folder: string }>(
      `${name}-files`,
      { noun: "stack", create: "prepare", delete: "remove", input: { stack: args.stack } },
      { parent: this },
    );
    this.folder = result.folder;
    this.registerOutputs({ folder: this.folder });
  }
}
