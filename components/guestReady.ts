import * as pulumi from "@pulumi/pulumi";
import { childOf, runVerb } from "./verb.ts";

export interface GuestReadyArgs {
  stack: pulumi.Input<string>;
  /** `vexlab:libvirtUri` as configured. */
  libvirtUri: pulumi.Input<string>;
  /** A new domain boots anew, and has a host key of its own. */
  domainId: pulumi.Input<string>;
  /** The user to log in as. */
  user: pulumi.Input<string>;
  /** Port of 127.0.0.1 that leads to the guest's SSH. */
  sshPort: pulumi.Input<number>;
  privateKeyFile: pulumi.Input<string>;
  /** Where the guest's host key is pinned, read over the console. */
  knownHostsFile: pulumi.Input<string>;
  consoleFile: pulumi.Input<string>;
  /** Whether the guest may start from a saved state instead of booting (`vexlab:warm`). */
  warm: "auto" | "off";
  /** How long the guest may take; the verb's own when undefined. */
  deadlineSeconds?: number;
}

interface Readiness {
  readonly kernelRelease: string;
  readonly bootSeconds: number;
}

/** Waits until the guest answers over SSH and cloud-init has finished, or says why it does not. */
export class GuestReady extends pulumi.ComponentResource {
  /** What `uname -r` says in the guest. */
  readonly kernelRelease: pulumi.Output<string>;

  constructor(name: string, args: GuestReadyArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vexlab:index:GuestReady", name, {}, opts);
    const { result } = runVerb<Readiness>(
      `${name}-wait`,
      {
        noun: "vm",
        create: "wait",
        // Test runs' guests, which Pulumi doesn't know, go before the stack's own.
        delete: "remove-forks",
        input: {
          stack: args.stack,
          libvirtUri: args.libvirtUri,
          domain: args.domainId,
          user: args.user,
          sshPort: args.sshPort,
          privateKeyFile: args.privateKeyFile,
          knownHostsFile: args.knownHostsFile,
          consoleFile: args.consoleFile,
          warm: args.warm,
          ...(args.deadlineSeconds === undefined ? {} : { deadlineSeconds: args.deadlineSeconds }),
        },
        triggers: [args.domainId],
      },
      childOf(this, opts),
    );
    this.kernelRelease = result.kernelRelease;
    this.registerOutputs({ kernelRelease: this.kernelRelease });
  }
}
