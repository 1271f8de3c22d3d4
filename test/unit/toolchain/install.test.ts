import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Progress } from "../../../lab/report/progress.ts";
import { ensureToolchain, toolchainKey } from "../../../toolchain/install.ts";
import { tryLock } from "../../../toolchain/lock.ts";

let folder: string;
let cache: string;
let path: string;
let lines: string[];
let progress: Progress;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vexlab-install-"));
  cache = join(folder, "cache");
  path = join(folder, "path");
  lines = [];
  progress = {
    step: (name) => ({
      done: (note) => lines.push(`${name}: ${note ?? "done"}`),
      failed: () => lines.push(`${name}: failed`),
    }),
    line: (text) => lines.push(text),
  };
  await mkdir(path);
  // A network that reaches nobody.
  await fake("curl", "echo 'curl: (6) Could not resolve host' >&2; exit 6");
  // Installs a plugin from a folder, as Pulumi's `plugin install` does.
  await fake("pulumi", pulumi);
  await fake("pulumi-language-nodejs", "exit 0");
  await fake("go", go);
});

afterEach(async () => rm(folder, { recursive: true }));

const pulumi = `
case "$1" in
version) echo v3.187.0 ;;
plugin)
  to=$PULUMI_HOME/plugins/resource-$4-v$5
  mkdir -p "$to" && cp -r "$7/." "$to" ;;
esac`;

const go = `
if [ "$1" = version ]; then echo "go version go1.26.1 linux/amd64"; exit; fi
while [ "$1" != -o ]; do shift; done
echo "$2" >> "$LOG"
echo "built $3" > "$2"`;

async function fake(name: string, body: string): Promise<void> {
  await writeFile(join(path, name), `#!/bin/sh\n${body}\n`);
  await chmod(join(path, name), 0o755);
}

const log = async (): Promise<string[]> =>
  (await readFile(join(folder, "log"), "utf8").catch(() => "")).trim().split("\n").filter(Boolean);

const install = () =>
  ensureToolchain(progress, cache, {
    PATH: `${path}:/usr/bin:/bin`,
    HOME: folder,
    LOG: join(folder, "log"),
  });

describe("an installation", () => {
  it("takes each tool from the first source that has it, and tells which", async () => {
    const toolchain = await install();
    expect(toolchain.tools.map(({ name, source }) => [name, source])).toEqual([
      ["pulumi", "path"],
      ["terraform-provider", "go"],
      ["libvirt", "go"],
      ["command", "stand-in"],
    ]);
    expect(await readlink(join(toolchain.bin, "pulumi"))).toBe(join(path, "pulumi"));
    const home = await readdir(toolchain.home, { recursive: true });
    expect(home).toEqual(
      expect.arrayContaining([
        "plugins/resource-terraform-provider-v1.1.0/pulumi-resource-terraform-provider",
        "plugins/resource-command-v1.2.1/pulumi-resource-command",
        expect.stringMatching(
          /^dynamic_tf_plugins\/registry\.opentofu\.org\/dmacvicar\/libvirt\/0\.8\.3\/linux_\w+\/terraform-provider-libvirt_v0\.8\.3$/,
        ),
      ]),
    );
    expect(lines.join("\n")).toContain("get.pulumi.com can't be reached");
    const left = (await readdir(join(cache, "toolchain"))).sort();
    expect(left).toEqual([await toolchainKey(), `${await toolchainKey()}.lock`, "go"].sort());
    // And says nothing, doing nothing, the second time.
    lines.length = 0;
    expect(await install()).toEqual(toolchain);
    expect(lines).toEqual([]);
    expect(await log()).toHaveLength(2);
  });

  it("that fails leaves no toolchain, and the next goes on where it ended", async () => {
    await fake("go", `${go}\ncase "$3" in *terraform-provider-libvirt) exit 1 ;; esac`);
    await expect(install()).rejects.toThrow(/libvirt 0\.8\.3 can't be had from any of its sources/);
    expect(await readdir(join(cache, "toolchain"))).not.toContain(await toolchainKey());
    await fake("go", go);
    const toolchain = await install();
    expect(toolchain.tools).toHaveLength(4);
    expect(lines).toContain("terraform-provider 1.1.0: taken over from an interrupted run");
    // The bridge once, the provider twice.
    expect(await log()).toHaveLength(3);
  });

  it("builds nothing again that another toolchain has built", async () => {
    const { folder: installed } = await install();
    await rm(installed, { recursive: true });
    await install();
    expect(await log()).toHaveLength(2);
  });

  it("is done again when a program from PATH is gone", async () => {
    await install();
    await cp(path, `${path}-elsewhere`, { recursive: true });
    await rm(path, { recursive: true });
    path = `${path}-elsewhere`;
    const toolchain = await install();
    expect(await readlink(join(toolchain.bin, "pulumi"))).toBe(join(path, "pulumi"));
  });

  it("is done by one of two runs", async () => {
    const [one, other] = await Promise.all([install(), install()]);
    expect(one).toEqual(other);
    expect(await log()).toHaveLength(2);
    expect(lines).toContain(
      `process ${process.pid} is installing the Pulumi toolchain; waiting for it`,
    );
  });

  it("lets go of its lock when it fails", async () => {
    await fake("go", "exit 1");
    await expect(install()).rejects.toThrow();
    const lock = await tryLock(join(cache, "toolchain", `${await toolchainKey()}.lock`));
    expect(lock).toBeDefined();
    await lock?.release();
  });
});

describe("the key of a toolchain", () => {
  it("is another when a pin, a sum or the stand-in is another", async () => {
    const files = ["pins.ts", "pulumi/go.sum", "pulumi/go.mod", "command-plugin/main.ts"];
    const sources = join(folder, "sources");
    for (const file of files) {
      await mkdir(join(sources, file, ".."), { recursive: true });
      await writeFile(join(sources, file), file);
    }
    const keys = new Set([await toolchainKey(sources)]);
    for (const file of files) {
      await writeFile(join(sources, file), "changed");
      keys.add(await toolchainKey(sources));
    }
    expect(keys.size).toBe(files.length + 1);
  });
});
