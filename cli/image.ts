/** `vexlab image build|list|verify|prune`: the images in the user's cache. */
import { Option, type Command } from "commander";
import * as z from "zod";
import { resolve } from "node:path";
import {
  customConfig,
  kernelConfigForm,
  kernelConfigWords,
  type CustomKernel,
} from "../lab/config/customKernel.ts";
import { ConfigurationError, ExitCode } from "../lab/config/errors.ts";
import { isRecipeName, recipeFor, recipeNames, type RecipeName } from "../lab/config/recipes.ts";
import {
  cloudImageNames,
  cloudImageOf,
  isCloudImage,
  type CloudImageSource,
} from "../lab/config/cloudImages.ts";
import { places, stackFolder } from "../lab/config/places.ts";
import { stackName } from "../lab/config/stackName.ts";
import { verbInput } from "../lab/config/verbInput.ts";
import { customKernelSchema, imageIds, readManifest } from "../lab/image/cache.ts";
import { holdImage, imageHolders } from "../lab/image/holders.ts";
import { pruneImages } from "../lab/image/prune.ts";
import { verifyFiles } from "../lab/image/verify.ts";
import { isCurrentDerived, pruneKernels } from "../lab/kernel/pruneKernels.ts";
import { terminalProgress } from "../lab/report/progress.ts";
import { ensureStackImage } from "../lab/stackImage.ts";
import { pruneWarmImages, warmUsersOfImage } from "../lab/warm/prune.ts";

const cloudImageSource = z.strictObject({
  name: z.string().optional(),
  urls: z.array(z.string()).min(1),
  mirrored: z.string().optional(),
  check: z.discriminatedUnion("by", [
    z.strictObject({ by: z.literal("digest"), digest: z.string() }),
    z.strictObject({
      by: z.literal("signature"),
      keyring: z.union([
        z.strictObject({ shipped: z.string().regex(/^[\w.-]+$/) }),
        z.strictObject({ file: z.string() }),
      ]),
    }),
    z.strictObject({ by: z.literal("nothing") }),
  ]),
});

/** Input of `image build`. */
export const imageBuildInput = z.strictObject({
  /** A recipe, or an image as in vexlab:image when a kernel is given. */
  recipe: z.string().default("debian-12"),
  /** As in vexlab:kernel. */
  kernel: z.string().optional(),
  /** As in vexlab:kernelConfig, or vexlab:kernelTree. */
  kernelConfig: z.string().optional(),
  kernelTree: z.string().optional(),
  /** The same as Pulumi's program gives it, already checked. */
  customKernel: customKernelSchema.optional(),
  /** Build again for the package versions of today. */
  refresh: z.boolean().optional(),
  /** What to download instead, as the stack's configuration has it. */
  download: cloudImageSource.optional(),
  /** Of a download: the size of the disk that will lie over it. */
  diskMiB: z.number().optional(),
  /** Of a download: what it is checked by, in words for the preview. */
  checked: z.string().optional(),
  /** The stack that is going to use the image, which is then not pruned while the stack exists. */
  stack: stackName().optional(),
});
export type ImageBuildInput = z.input<typeof imageBuildInput>;

interface BuildFlags {
  readonly input?: string;
  readonly recipe?: string;
  readonly kernel?: string;
  readonly kernelConfig?: string;
  readonly kernelTree?: string;
  readonly refresh?: boolean;
}

export function register(program: Command): void {
  const image = program.command("image").description("the images in the user's cache");

  image
    .command("build")
    .description("build an image unless it is in the cache; prints it as JSON")
    .option(
      "--recipe <name>",
      `one of ${[...recipeNames, ...cloudImageNames].join(", ")} (default debian-12)`,
    )
    .option("--kernel <series>", "another kernel for the recipe's image, as in vexlab:kernel")
    .option("--kernel-config <fragments>", `a kernel with ${kernelConfigForm}`)
    .option("--kernel-tree <folder>", "the kernel of a tree that you have built")
    .option("--refresh", "build again, for the package versions that the archive has today")
    .addOption(
      new Option("--input <json>", "the same as one JSON object").env("VEXLAB_INPUT").hideHelp(),
    )
    .action(build);
  image.command("list").description("the images in the cache, as JSON").action(list);
  image
    .command("verify")
    .description("read every file of the images and compare checksums; exit code 3 on damage")
    .argument("[id...]", "only these images")
    .action(verify);
  image
    .command("prune")
    .description("remove images that no stack uses and no recipe of this version makes any more")
    .option("--all", "remove every image that no stack uses")
    .action(async (flags: { all?: boolean }) => {
      const progress = terminalProgress();
      const pruned = await pruneImages(progress, {
        all: flags.all,
        alsoUsedBy: warmUsersOfImage,
        isCurrent: isCurrentDerived,
      });
      const warm = await pruneWarmImages(progress, { which: "useless" });
      const kernels = await pruneKernels(progress, { all: flags.all });
      print({ ...pruned, warmRemoved: warm.removed, kernelsRemoved: kernels.removed });
    });
}

function chosenRecipe(name: string, kernel: string | undefined): RecipeName {
  if (kernel === undefined && isRecipeName(name)) return name;
  const chosen = recipeFor(name, kernel);
  if (typeof chosen === "string") return chosen;
  const key = chosen.key === "vexlab:image" ? "recipe" : "kernel";
  const allowed = key === "recipe" ? recipeNames.join(", ") : chosen.allowed;
  throw new ConfigurationError("image build", [{ ...chosen, key, allowed }]);
}

/** The image of a distribution, when it is that what `--recipe` names. */
function namedDownload(image: string, kernel: string | undefined): CloudImageSource | undefined {
  if (!isCloudImage(image)) return undefined;
  const source = cloudImageOf({ image, kernel });
  if ("check" in source) return source;
  throw new ConfigurationError("image build", source);
}

/** The custom kernel that is asked for. @throws ConfigurationError */
async function customKernelOf({
  kernelConfig,
  kernelTree,
  customKernel,
}: z.output<typeof imageBuildInput>): Promise<CustomKernel | undefined> {
  if (kernelTree !== undefined && kernelConfig !== undefined)
    throw new ConfigurationError("image build", [
      {
        key: "kernelTree",
        problem: "the kernel is configured already",
        allowed: "kernelConfig or kernelTree",
      },
    ]);
  // A tree is checked where its image is made.
  if (kernelTree !== undefined) return { kind: "tree", folder: resolve(kernelTree) };
  if (kernelConfig === undefined) return customKernel;
  const words = kernelConfigWords(kernelConfig) ?? [];
  const chosen = await customConfig("kernelConfig", words, process.cwd());
  if ("kind" in chosen) return chosen;
  throw new ConfigurationError("image build", chosen);
}

async function build({ input, ...flags }: BuildFlags): Promise<void> {
  const given = verbInput("image build", imageBuildInput, input, flags);
  const { recipe, kernel, refresh, stack, download, diskMiB } = given;
  const source = download ?? namedDownload(recipe, kernel);
  const imageSource =
    source === undefined ? { recipe: chosenRecipe(recipe, kernel) } : { download: source };
  const customKernel = await customKernelOf(given);
  const cancelling = new AbortController();
  const cancel = (): void => cancelling.abort();
  // A build that is cancelled removes what it made before the process ends.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, cancel);
  try {
    const wanted = { imageSource, customKernel, diskMiB };
    const image = await ensureStackImage(wanted, terminalProgress(), {
      signal: cancelling.signal,
      refresh,
    });
    if (stack !== undefined) {
      await holdImage(image.id, `${stack} of ${places().checkout}`, stackFolder(stack));
    }
    // Package versions and checksums are in the image's manifest.json: too long for a result.
    print({ ...image, packages: undefined, files: undefined });
  } finally {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.off(signal, cancel);
  }
}

async function list(): Promise<void> {
  const images = [];
  for (const id of await imageIds()) {
    const manifest = await readManifest(id);
    if (manifest === undefined) continue;
    const bytes = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, 0);
    images.push({
      id,
      recipe: manifest.recipe,
      kernelRelease: manifest.kernelRelease,
      ...(manifest.derived && { kernel: describeCustom(manifest.derived.custom) }),
      created: manifest.created,
      bytes,
      usedBy: (await imageHolders(id)).map(({ holder }) => holder),
    });
  }
  print(images);
}

const describeCustom = (custom: CustomKernel): string =>
  custom.kind === "tree"
    ? `tree ${custom.folder}`
    : `config ${[...custom.fragments, ...custom.files].join(", ")}`;

async function verify(ids: readonly string[]): Promise<void> {
  const progress = terminalProgress();
  const results = [];
  for (const id of ids.length > 0 ? ids : await imageIds()) {
    const step = progress.step(id);
    const manifest = await readManifest(id).catch(() => undefined);
    const damages =
      manifest === undefined
        ? [{ file: "manifest.json", problem: "missing or unreadable" }]
        : await verifyFiles(manifest, "all");
    if (damages.length === 0) step.done();
    else step.failed(damages.map(({ file, problem }) => `${file}: ${problem}`).join("; "));
    results.push({ id, damages });
  }
  print(results);
  if (results.some(({ damages }) => damages.length > 0))
    process.exitCode = ExitCode.infrastructureFailed;
}

function print(result: unknown): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
