import * as pulumi from "@pulumi/pulumi";
import { runVerb } from "./verb.ts";

export interface SshKeyArgs {
  /** The stack whose key it is. */
  stack: pulumi.Input<string>;
  /** The stack's folder, which holds the key's files; made by whoever comes first. */
  folder: pulumi.Input<string>;
}

interface KeyFiles {
  readonly publicKey: string;
  readonly privateKeyFile: string;
  readonly knownHostsFile: string;
}

/**
 * The stack's own ed25519 key. Only the public key and paths reach Pulumi's state: the private key
 * stays in a file that the key verb makes, and removes when the stack is destroyed.
 */
export class SshKey extends pulumi.ComponentResource {
  /** In OpenSSH's authorized_keys format. */
  readonly publicKey: pulumi.Output<string>;
  readonly privateKeyFile: pulumi.Output<string>;
  /** Where the guest's host key is pinned. */
  readonly knownHostsFile: pulumi.Output<string>;

  constructor(name: string, args: SshKeyArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vexlab:index:SshKey", name, {}, opts);
    const files = runVerb<KeyFiles>(
      `${name}-files`,
      {
        noun: "key",
        create: "create",
        delete: "remove",
        input: { stack: args.stack },
        triggers: [args.folder],
      },
      { parent: this },
    ).result;
    this.publicKey = files.publicKey;
    this.privateKeyFile = files.privateKeyFile;
    this.knownHostsFile = files.knownHostsFile;
    this.registerOutputs({ publicKey: this.publicKey });
  }
}
