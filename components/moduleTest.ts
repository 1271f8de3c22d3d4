import * as pulumi from "@pulumi/pulumi";
import type { BuildResult } from "../lab/build/result.ts";
import type { PanicMode } from "../lab/config/panicMode.ts";
import type { GuestAddress } from "../lab/guest/session.ts";
import { connectionUri } from "../lab/hypervisor/connection.ts";
import type { RunReport } from "../lab/run/verdict.ts";
import { childOf, runVerb } from "./verb.ts";

export interface ModuleTestArgs {
  stack: pulumi.Input<string>;
  /** `vexlab:libvirtUri` as configured. */
  libvirtUri: string;
  domainName: pulumi.Input<string>;
  /** A new domain is tested anew. */
  domainId: pulumi.Input<string>;
  guest: { [Key in keyof GuestAddress]: pulumi.Input<GuestAddress[Key]> };
  consoleFile: pulumi.Input<string>;
  /** What is tested. */
  build: pulumi.Input<BuildResult>;
  /** The last failed run, so that taking a bad edit back tests again; empty when none failed. */
  lastFailure: pulumi.Input<string>;
  /** Whether a failing verdict fails `pulumi up`. */
  onFailure: "fail" | "report";
  /** Whether the stack's guest is stopped after the run. */
  stopAfter: boolean;
  /** In which guests an oops ends in a panic. */
  panicOnOops: PanicMode;
  /** Whether the tests may run in forks of the guest (`vexlab:warm`). */
  warm: "auto" | "off";
  /** The suites that run, if not all. */
  suites?: readonly string[] | undefined;
}

/** Loads the module in the guest, runs its suites and judges. */
export class ModuleTest extends pulumi.ComponentResource {
  /** `passed`, or what went wrong. */
  readonly verdict: pulumi.Output<string>;
  /** The run's log, JUnit and JSON files on the host. */
  readonly files: pulumi.Output<RunReport["files"]>;

  constructor(name: string, args: ModuleTestArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vexlab:index:ModuleTest", name, {}, opts);
    const { result } = runVerb<RunReport>(
      `${name}-run`,
      {
        noun: "module",
        create: "test",
        input: {
          stack: args.stack,
          libvirtUri: connectionUri(args.libvirtUri),
          domain: args.domainName,
          guest: args.guest,
          consoleFile: args.consoleFile,
          build: args.build,
          onFailure: args.onFailure,
          stopAfter: args.stopAfter,
          panicOnOops: args.panicOnOops,
          warm: args.warm,
          ...(args.suites === undefined ? {} : { suites: args.suites }),
        },
        triggers: [args.domainId, args.lastFailure],
      },
      childOf(this, opts),
    );
    this.verdict = result.verdict;
    this.files = result.files;
    this.registerOutputs({ verdict: this.verdict, files: this.files });
  }
}
