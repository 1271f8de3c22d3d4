/**
 * Makes few JavaScript files of the `vexlab` command and of the Pulumi program, since loading their
 * hundreds of modules one by one takes most of a short command's time. scripts/vexlab runs this when a
 * source is newer than the files:
 *
 *     node --import tsx/esm toolchain/bundle.ts FOLDER
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";

const checkout = dirname(dirname(fileURLToPath(import.meta.url)));

/** What packages written for CommonJS expect to be there. */
const banner = `import { createRequire as bundleRequire } from "node:module";
import { fileURLToPath as bundlePath } from "node:url";
const require = bundleRequire(import.meta.url);
const __filename = bundlePath(import.meta.url), __dirname = bundlePath(new URL(".", import.meta.url));`;

/** Modules find files of the checkout by where they are themselves: that stays the source's place. */
const ownPlaces = (folder: string): Plugin => ({
  name: "own-places",
  setup(bundler) {
    bundler.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      // From the bundle, so that the checkout can be moved.
      const own = `new URL(${JSON.stringify(encodeURI(relative(folder, path)))}, import.meta.url).href`;
      return { contents: source.replaceAll("import.meta.url", own), loader: "ts" };
    });
  },
});

const partPrefix = "part-";
/** Milliseconds that parts stay which no program has any more: one that runs may still import them. */
const keptMs = 7 * 24 * 3_600_000;

/**
 * Bundles programs into one folder: a file `NAME.mjs` of each, beside parts that are named by their
 * content. What a program imports only when it needs it is a part of its own, and isn't even read before.
 * @param programs the first module of each, from the checkout's folder, by its name
 * @throws esbuild's BuildFailure for a source that can't be compiled
 */
async function bundle(programs: Readonly<Record<string, string>>, folder: string): Promise<void> {
  // What is changed from here on is newer than the files.
  const began = new Date();
  const entries = Object.entries(programs).map(
    ([name, entry]) => [name, join(checkout, entry)] as const,
  );
  const { outputFiles } = await build({
    ...{ entryPoints: Object.fromEntries(entries), outdir: folder, write: false },
    ...{ bundle: true, platform: "node", format: "esm", target: "node20" },
    ...{ splitting: true, chunkNames: `${partPrefix}[hash]`, outExtension: { ".js": ".mjs" } },
    // There is less to parse; names stay, for stack traces.
    ...{ minifyWhitespace: true, minifySyntax: true },
    // Pulumi's runtime has to be the one that runs the program; the others are optional accelerators
    // of ssh2, which does without them.
    external: ["@pulumi/pulumi", "*.node", "cpu-features"],
    ...{ banner: { js: banner }, plugins: [ownPlaces(folder)], logLevel: "error" },
  });
  await mkdir(folder, { recursive: true });
  const isPart = (path: string): boolean => basename(path).startsWith(partPrefix);
  // Programs last: whoever reads them finds their parts.
  for (const { path, contents } of [...outputFiles].sort(
    (a, b) => Number(isPart(b.path)) - Number(isPart(a.path)),
  ))
    await replaceDated(path, contents, began);
  for (const name of (await readdir(folder)).filter(isPart)) {
    const path = join(folder, name);
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Infinity }));
    if (mtimeMs < began.getTime() - keptMs) await rm(path, { force: true });
  }
}

/** Writes a file, whole or not at all, that is as old as `changed` from its first moment. */
async function replaceDated(path: string, contents: Uint8Array, changed: Date): Promise<void> {
  const partial = `${path}.${process.pid}`;
  try {
    await writeFile(partial, contents);
    await utimes(partial, changed, changed);
    await rename(partial, path);
  } finally {
    await rm(partial, { force: true });
  }
}

const [, , folder] = process.argv;
if (folder !== undefined)
  await bundle(
    {
      main: "cli/main.ts",
      // Before the first set-up there is no package to be had for the provider.
      ...(existsSync(join(checkout, "sdks", "libvirt")) ? { pulumi: "index.ts" } : {}),
    },
    resolve(folder),
  );
