/**
 * Runs verbs of the `vexlab` command as a Pulumi command resource.
 *
 * A verb gets its input as JSON in the environment and prints one JSON result, so no shell takes
 * part and nothing in the input can be taken for shell syntax. The program's path is relative to
 * the folder of Pulumi.yaml, where the engine starts its plugins: a checkout can be moved.
 */
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

export interface VerbArgs {
  /** The noun that the verbs belong to, such as `key`. */
  noun: string;
  /** The verb that makes the resource, such as `create`; none where only its end is to be seen to. */
  create?: string;
  /** The verb that undoes it when the resource is deleted, run with the same input. */
  delete?: string;
  /** What both get as JSON in `VEXLAB_INPUT`. */
  input: pulumi.Input<Record<string, unknown>>;
  /** Values whose change runs the verb again, as a replacement. */
  triggers?: pulumi.Input<string>[];
}

const PROGRAM = "scripts/vexlab";

/** A verb's command resource and its parsed result. */
export interface VerbRun<Result> {
  /** To depend on. */
  readonly resource: command.local.Command;
  /** Unknown at preview when the verb is going to run. */
  readonly result: pulumi.Output<Result>;
}

/**
 * Options for a component's child: Pulumi hands a component's parentage down to its children, but
 * not what it depends on.
 */
export function childOf(
  parent: pulumi.ComponentResource,
  opts: pulumi.ComponentResourceOptions | undefined,
): pulumi.CustomResourceOptions {
  return opts?.dependsOn === undefined ? { parent } : { parent, dependsOn: opts.dependsOn };
}

/** Declares the command resource of a verb whose result nobody wants. */
export function declareVerb(
  name: string,
  args: VerbArgs,
  opts: pulumi.CustomResourceOptions,
): command.local.Command {
  return new command.local.Command(
    name,
    {
      interpreter: [PROGRAM, args.noun],
      ...(args.create === undefined ? {} : { create: args.create }),
      ...(args.delete === undefined ? {} : { delete: args.delete }),
      environment: { VEXLAB_INPUT: pulumi.jsonStringify(args.input) },
      addPreviousOutputInEnv: false,
      logging: command.local.Logging.Stderr,
      ...(args.triggers === undefined ? {} : { triggers: args.triggers }),
    },
    opts,
  );
}

/** Declares the command resource of a verb. */
export function runVerb<Result>(
  name: string,
  args: VerbArgs & { create: string },
  opts: pulumi.CustomResourceOptions,
): VerbRun<Result> {
  const resource = declareVerb(name, args, opts);
  return { resource, result: resource.stdout.apply((text) => JSON.parse(text) as Result) };
}
