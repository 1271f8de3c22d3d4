import * as pulumi from "@pulumi/pulumi";
import type { BuildResult } from "../lab/build/result.ts";
import { childOf, runVerb } from "./verb.ts";
import type { GuestAddress } from "../lab/guest/session.ts";

export interface ModuleBuildArgs {
  stack: pulumi.Input<string>;
  /** The folder of the module under test. */
  source: pulumi.Input<string>;
  /** Hash of its sources and manifest: a change builds again. */
  sourceHash: pulumi.Input<string>;
  /** The image whose kernel it is built for. */
  imageId: pulumi.Input<string>;
  /** In the image's sysroot on the host, or in the guest. */
  buildOn: "host" | "guest";
  /** The suites that will run, if not all: tools that none of them needs are not built. */
  suites?: readonly string[] | undefined;
  /** Where the guest is, for builds in it. */
  guest: { [Key in keyof GuestAddress]: pulumi.Input<GuestAddress[Key]> };
}

/** The module under test, its programs and its suites, built for an image's kernel. */
export class ModuleBuild extends pulumi.ComponentResource {
  readonly build: pulumi.Output<BuildResult>;

  constructor(name: string, args: ModuleBuildArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vexlab:index:ModuleBuild", name, {}, opts);
    const { result } = runVerb<BuildResult>(
      `${name}-run`,
      {
        noun: "module",
        create: "build",
        input: {
          stack: args.stack,
          source: args.source,
          image: args.imageId,
          buildOn: args.buildOn,
          ...(args.suites === undefined ? {} : { suites: args.suites }),
          ...(args.buildOn === "guest" ? { guest: args.guest } : {}),
        },
        triggers: [args.sourceHash],
      },
      childOf(this, opts),
    );
    this.build = result;
    this.registerOutputs({ build: this.build });
  }
}
