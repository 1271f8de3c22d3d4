/** scripts/vexlab with a fake `npm` and `node`: when packages are installed, and when not. */
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

let folder: string;
let checkout: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-entry-"));
  checkout = join(folder, "a check#out 50%?");
  await mkdir(join(checkout, "scripts"), { recursive: true });
  await mkdir(join(folder, "path"));
  await copyFile(new URL("../../../scripts/vexlab", import.meta.url), script());
  await lock("1");
  await fake("npm", npm);
  await fake(
    "node",
    `case "$1" in
--version) echo v20.1.0 ;;
--import) case "$3" in
  */toolchain/bundle.ts)
    cd "${checkout}"; [ -e bundles ] && echo "$4" >>bundled && mkdir -p "$4" && touch "$4"/main.mjs "$4"/pulumi.mjs ;;
  *) printf '%s|' "$@" ;;
  esac ;;
*/main.mjs) printf '%s|' "$@" ;;
*) exec ${process.execPath} "$@" ;;
esac`,
  );
  for (const sources of ["cli", "components", "lab", "toolchain"])
    await mkdir(join(checkout, sources));
  await writeFile(join(checkout, "index.ts"), "");
});

afterEach(async () => rm(folder, { recursive: true }));

// Removes what is there and takes its time, as `npm ci` does.
const npm = `echo "$*" >> ../npm.log
rm -rf node_modules; sleep 0.3; mkdir node_modules
cp package-lock.json node_modules/.package-lock.json; echo added`;

const script = (): string => join(checkout, "scripts", "vexlab");

async function fake(name: string, body: string): Promise<void> {
  await writeFile(join(folder, "path", name), `#!/bin/sh\n${body}\n`);
  await chmod(join(folder, "path", name), 0o755);
}

async function lock(version: string): Promise<void> {
  const packages = { "": {}, "node_modules/tsx": { version, integrity: `sha-${version}` } };
  await writeFile(join(checkout, "package-lock.json"), JSON.stringify({ packages }));
}

const run = (program = script(), cwd = "/", env: Record<string, string> = {}) =>
  execa(program, ["up", "a b", ""], {
    cwd,
    env: { PATH: `${join(folder, "path")}:/usr/bin:/bin`, HOME: folder, ...env },
    extendEnv: false,
    reject: false,
  });

const installations = async (): Promise<number> =>
  (await readFile(join(folder, "npm.log"), "utf8").catch(() => ""))
    .split("\n")
    .filter((line) => line.startsWith("ci ")).length;

describe("the entry script", () => {
  it("installs the packages once, and again when the lock file changes", async () => {
    expect((await run()).stderr).toMatch(/npm packages installed/);
    const second = await run();
    expect(second.stderr).toBe("");
    expect(await installations()).toBe(1);
    await lock("2");
    await run();
    expect(await installations()).toBe(2);
  });

  it("never lets packages run install scripts, which would write to ~/.pulumi", async () => {
    await run();
    expect(await readFile(join(folder, "npm.log"), "utf8")).toContain("--ignore-scripts");
  });

  it("takes packages that were installed by hand", async () => {
    await mkdir(join(checkout, "node_modules"));
    const hidden = join(checkout, "node_modules", ".package-lock.json");
    await copyFile(join(checkout, "package-lock.json"), hidden);
    expect((await run()).exitCode).toBe(0);
    expect(await installations()).toBe(0);
    await lock("3");
    await run();
    expect(await installations()).toBe(1);
  });

  it("installs once when many start at a time", async () => {
    const runs = await Promise.all([run(), run(), run(), run()]);
    expect(runs.map((each) => each.exitCode)).toEqual([0, 0, 0, 0]);
    expect(await installations()).toBe(1);
  });

  it("shows npm's output only when it fails, and tries again the next time", async () => {
    await fake("npm", "echo 'network is down' >&2; exit 1");
    const failed = await run();
    expect(failed.exitCode).toBe(3);
    expect(failed.stderr).toContain("network is down");
    await fake("npm", npm);
    expect((await run()).stderr).not.toContain("added");
    expect(await installations()).toBe(1);
  });

  it("hands every argument on, from any folder, through a symbolic link", async () => {
    await symlink(script(), join(folder, "link"));
    const { stdout } = await run(join(folder, "link"), folder);
    const [, loader = "", main, ...args] = stdout.split("|");
    expect(new URL(loader).pathname.split("/").map(decodeURIComponent).join("/")).toBe(
      join(checkout, "node_modules/tsx/dist/esm/index.mjs"),
    );
    expect(main).toBe(join(checkout, "cli/main.ts"));
    expect(args).toEqual(["up", "a b", "", ""]);
  });

  describe("with one file of all modules", () => {
    const program = (): string => join(checkout, ".vexlab/program/main.mjs");
    const bundles = async (): Promise<number> =>
      (await readFile(join(checkout, "bundled"), "utf8")).trim().split("\n").length;

    beforeEach(() => writeFile(join(checkout, "bundles"), ""));

    it("makes it, runs it, and makes it again only after a change of a source", async () => {
      expect((await run()).stdout).toBe(`${program()}|up|a b||`);
      await run();
      expect(await bundles()).toBe(1);
      // Times of files go by the kernel's clock, which ticks every few milliseconds.
      await delay(20);
      await writeFile(join(checkout, "lab", "new.ts"), "");
      expect((await run()).stdout).toBe(`${program()}|up|a b||`);
      expect(await bundles()).toBe(2);
      await delay(20);
      await mkdir(join(checkout, "sdks", "libvirt"), { recursive: true });
      await run();
      expect(await bundles()).toBe(3);
    });

    it("runs the sources for someone who looks for a fault", async () => {
      expect((await run(script(), "/", { VEXLAB_DEBUG: "1" })).stdout).toContain("cli/main.ts");
    });
  });

  it("refuses an old Node", async () => {
    await fake("node", "echo v18.19.0");
    const refused = await run();
    expect(refused.exitCode).toBe(3);
    expect(refused.stderr).toContain("v18.19.0 is too old");
  });
});
