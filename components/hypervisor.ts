import * as libvirt from "@pulumi/libvirt";
import * as pulumi from "@pulumi/pulumi";
import { connectionUri } from "../lab/hypervisor/connection.ts";
import { declareVerb } from "./verb.ts";

export interface HypervisorArgs {
  /** `vexlab:libvirtUri` as configured. */
  libvirtUri: string;
}

/** The libvirt that runs a stack's guest: the checkout's own session daemon, and the provider. */
export class Hypervisor extends pulumi.ComponentResource {
  readonly provider: libvirt.Provider;
  /** Goes last: to depend on for what is not to be there any more by then. */
  readonly daemon: pulumi.Resource;

  constructor(name: string, args: HypervisorArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vexlab:index:Hypervisor", name, {}, opts);
    // Stopped after everything else of the stack is gone. The plan has started it already
    // (lab/stackPlan.ts), since the provider dials it at a preview, too.
    this.daemon = declareVerb(
      `${name}-daemon`,
      { noun: "daemon", delete: "stop", input: { libvirtUri: args.libvirtUri } },
      { parent: this },
    );
    this.provider = new libvirt.Provider(
      `${name}-provider`,
      { uri: connectionUri(args.libvirtUri) },
      { parent: this },
    );
    this.registerOutputs({});
  }
}
