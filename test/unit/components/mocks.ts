/** Pulumi's mocks with a memory: what each declared resource was given. */
import * as pulumi from "@pulumi/pulumi";

export interface Declared {
  readonly type: string;
  readonly name: string;
  readonly inputs: Record<string, unknown>;
}

/** What a verb prints, by its noun and verb, in place of running it. */
export type VerbResults = Readonly<Record<string, unknown>>;

/** Installs the mocks and returns the list that fills as resources are declared. */
export async function mockEngine(results: VerbResults = {}): Promise<Declared[]> {
  const declared: Declared[] = [];
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs }) => {
        const given = inputs as Record<string, unknown>;
        declared.push({ type, name, inputs: given });
        const verb = verbOf(given);
        const stdout = verb === undefined ? {} : { stdout: JSON.stringify(results[verb] ?? {}) };
        return { id: `${name}-id`, state: { ...given, ...stdout } };
      },
      call: () => ({}),
    },
    "vexlab",
    "unit",
    false,
  );
  return declared;
}

/** `image build` of a command resource that runs that verb; undefined for other resources. */
function verbOf(inputs: Record<string, unknown>): string | undefined {
  const interpreter = inputs["interpreter"] as string[] | undefined;
  return interpreter && `${String(interpreter.at(-1))} ${String(inputs["create"])}`;
}

/** The value of an output. */
export function valueOf<T>(output: pulumi.Output<T>): Promise<T> {
  return new Promise((resolve) => output.apply(resolve));
}

/** The only declared resource of a type. */
export function only(declared: readonly Declared[], type: string): Declared {
  const found = declared.filter((resource) => resource.type === type);
  if (found.length !== 1 || found[0] === undefined) {
    throw new Error(`expected one ${type}, found ${found.map(({ name }) => name).join(", ")}`);
  }
  return found[0];
}

/** The input of a command resource's verb. */
export function verbInputOf(command: Declared): Record<string, unknown> {
  const environment = command.inputs["environment"] as Record<string, string>;
  return JSON.parse(environment["VEXLAB_INPUT"] ?? "") as Record<string, unknown>;
}
