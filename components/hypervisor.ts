import * as libvirt from "@pulumi/libvirt";
import * as pulumi from "@pulumi/pulumi";
import { connectionUri } from "../lab/hypervisor/connection.ts";
import { runVerb } from "./verb.ts";

export interface HypervisorArgs {
  /** `vexlab:libvirtUri` as configured. */
  libvirtUri: string;
}

/** The libvirt that runs a stack's guest: the checkout's own session daemon, and the provider. */
export class Hypervisor extends pulumi.ComponentResource {
  readonly provider: libvirt.Provider;

  constructor(name: string, args: HypervisorArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vexlab:index:Hypervisor", name, {}, opts);
    // Started before the provider dials it; stopped after everything else of the stack is gone.
    const daemon = runVerb(
      `${name}-daemon`,
      {
        noun: "daemon",
        create: "start",
        delete: "stop",
        input: { libvirtUri: args.libvirtUri },
      },
      { parent: this },
    );
    this.provider = new libvirt.Provider(
      `${name}-provider`,
      { uri: connectionUri(args.libvirtUri) },
      { parent: this, dependsOn: [daemon.resource] },
    );
    this.registerOutputs({});
  }
}
