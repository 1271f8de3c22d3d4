/** The cells of a matrix: each guest with each configuration, checked all together. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { ConfigurationError, type Fault } from "../lab/config/errors.ts";
import type { Places } from "../lab/config/places.ts";
import { offeredGuests } from "../lab/config/recipes.ts";
import type { StackConfig } from "../lab/config/stack.ts";
import { imageLabel } from "../lab/stackImage.ts";
import { readConfig, wantedSuites } from "../lab/stackPlan.ts";
import type { MatrixRequest } from "./matrixFile.ts";
import type { Need } from "./schedule.ts";

export interface Cell {
  /** For people: `debian-12/6.12 slub`. */
  readonly label: string;
  /** Of its stack; begins with `matrix-`. */
  readonly stack: string;
  readonly image: string;
  /** As asked for; empty for the image's own. */
  readonly kernel: string;
  /** The configuration's name; empty where there is only one. */
  readonly configuration: string;
  /** The stack's configuration, without its port. */
  readonly raw: Readonly<Record<string, string>>;
  readonly config: StackConfig;
  /** The names of the suites that run. */
  readonly suites: readonly string[];
  readonly need: Need;
}

/** A guest to test in: an image with one of its kernels; the image's own when it is empty. */
interface Guest {
  readonly image: string;
  readonly kernel: string;
}

/** Neither decides what a module does: a cell's own, or useless where nobody looks at the guest. */
const ownKeys = ["sshPort", "gdbPort", "mode", "onFailure"];
/** QEMU's own memory, and what a stack's processes have. */
const besidesMiB = 300;

/**
 * The cells, in the order of kernels and then of configurations.
 * @throws ConfigurationError with every mistake of every cell, each once
 */
export async function planCells(
  request: MatrixRequest,
  where: Places,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Cell[]> {
  const base = await baseConfig(request.stack, where);
  const guests = guestsOf(request, base["image"], base["kernel"]);
  const named = Object.entries(request.configurations);
  const configurations = named.length > 0 ? named : [["", {}] as const];
  const variables = { ...environment, VEXFS_VM_SSH_PORT: undefined };
  const faults: Fault[] = [];
  const cells: Cell[] = [];
  for (const { image, kernel } of guests) {
    for (const [configuration, keys] of configurations) {
      const raw = {
        ...base,
        ...Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined)),
        image,
        ...(kernel !== "" && { kernel }),
        ...(request.source !== undefined && { source: request.source }),
        ...(request.suites.length > 0 && { suites: request.suites.join(" ") }),
      } as Record<string, string>;
      for (const key of ownKeys) Reflect.deleteProperty(raw, key);
      if (kernel === "") Reflect.deleteProperty(raw, "kernel");
      const label = [kernel === "" ? image : `${image}/${kernel}`, configuration].join(" ").trim();
      try {
        const config = await readConfig(`cell ${label}`, raw, where, variables);
        const needed = { memoryMiB: 2 * (config.memoryMiB + besidesMiB), cores: 1 };
        cells.push({
          ...{ label, image, kernel, configuration, raw, config, need: needed },
          stack: stackOf(kernel || image, JSON.stringify([image, kernel, configuration])),
          suites: wantedSuites(config),
        });
      } catch (error) {
        if (!(error instanceof ConfigurationError)) throw error;
        for (const fault of error.faults)
          if (!faults.some((each) => same(each, fault))) faults.push(fault);
      }
    }
  }
  if (faults.length > 0) throw new ConfigurationError("matrix", faults);
  return cells;
}

/** A name that a person recognises, and no other cell has. */
export function stackOf(kernel: string, identity: string): string {
  const short = kernel.replaceAll(/[^A-Za-z0-9.]+/g, "-").slice(0, 12);
  return `matrix-${short}-${createHash("sha256").update(identity).digest("hex").slice(0, 6)}`;
}

/** The guests that are asked for, each once. */
function guestsOf(
  { images, kernels }: MatrixRequest,
  baseImage = "debian-12",
  baseKernel = "",
): Guest[] {
  const wanted = kernels.flatMap((kernel): Guest[] => {
    if (kernel === "all") {
      return offeredGuests.filter(({ image }) => images.length === 0 || images.includes(image));
    }
    const [, image, own = ""] = /^([^/]+)\/(.+)$/.exec(kernel) ?? [];
    if (image !== undefined) return [{ image, kernel: own }];
    return (images.length > 0 ? images : [baseImage]).map((each) => ({ image: each, kernel }));
  });
  const standard = (images.length > 0 ? images : [baseImage]).map((image) => ({
    image,
    kernel: images.length > 0 ? "" : baseKernel,
  }));
  const all = kernels.length > 0 ? wanted : standard;
  return all.filter(
    ({ image, kernel }, index) =>
      all.findIndex((each) => each.image === image && each.kernel === kernel) === index,
  );
}

const same = (a: Fault, b: Fault): boolean =>
  a.key === b.key && a.value === b.value && a.problem === b.problem;

/** The base stack's keys without their namespace. @throws ConfigurationError when there is no file */
async function baseConfig(stack: string, where: Places): Promise<Record<string, string>> {
  const file = join(where.checkout, "stacks", `Pulumi.${stack}.yaml`);
  let content: { config?: Record<string, unknown> | null } | null;
  try {
    content = parse(await readFile(file, "utf8")) as typeof content;
  } catch (error) {
    const problem = `${file}: ${(error as Error).message}`;
    const allowed = "a stack with a file in stacks/";
    throw new ConfigurationError("matrix", [{ key: "stack", value: stack, problem, allowed }]);
  }
  return Object.fromEntries(
    Object.entries(content?.config ?? {}).flatMap(([key, value]) =>
      key.startsWith("vexlab:") ? [[key.slice("vexlab:".length), String(value)]] : [],
    ),
  );
}

/** What two cells have to have in common to start from the same saved guest. */
export function warmGroup({ config }: Cell): string {
  const { memoryMiB, cpus, kernelParameters, diskMiB, testDiskMiB } = config;
  const { accelerator, network, userData } = config;
  return JSON.stringify([
    ...[imageLabel(config), memoryMiB, cpus, kernelParameters, diskMiB, testDiskMiB],
    ...[accelerator, network, userData],
  ]);
}
