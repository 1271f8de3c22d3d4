/**
 * A part of the host that may be damaged: a cache of its own, and mounts that nobody else sees, without
 * a right that an ordinary user lacks (user_namespaces(7), mount_namespaces(7)).
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import {
  chmod,
  copyFile,
  cp,
  link,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { places } from "../../lab/config/places.ts";

/** Undoes a fault. */
export type Mend = () => Promise<void>;

export class HostCell {
  private constructor(
    /** Lies in no other cell; short, since sockets are made in it. */
    readonly cache: string,
    /** A process that keeps the namespaces alive. */
    private readonly holder: ChildProcess,
  ) {}

  static async make(): Promise<HostCell> {
    const cache = await mkdtemp(join(tmpdir(), "vexlab-c-"));
    await fillCache(places().cache, cache);
    const own = ["--user", "--map-root-user", "--mount", "--propagation", "private"];
    const holder = spawn("unshare", [...own, "sh", "-c", "echo ready; exec sleep infinity"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await Promise.race([once(holder.stdout, "data"), failed(holder)]);
    return new HostCell(cache, holder);
  }

  /** The words that run a command in the cell. */
  argv(folder: string, command: readonly string[]): string[] {
    const enter = ["nsenter", "--preserve-credentials", "--user", "--mount"];
    // Its working folder is looked up anew, in the cell's mounts.
    const inFolder = ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", folder];
    return [...enter, `--target=${this.holder.pid ?? 0}`, "--", ...inFolder, ...command];
  }

  /** Puts a small disk (tmpfs(5)) in the place of a folder. */
  async mountSmall(folder: string, size: string): Promise<Mend> {
    await mkdir(folder, { recursive: true });
    const run = async (...argv: string[]): Promise<void> => {
      const [program = "", ...words] = this.argv("/", argv);
      await execa(program, words, { stdin: "ignore", timeout: 20_000 });
    };
    await run("mount", "-t", "tmpfs", "-o", `size=${size},mode=755`, "vexlab-small", folder);
    // Lazily: whatever still has a file open there does not keep the next fault waiting.
    return () => run("umount", "--lazy", folder);
  }

  /** What a folder holds, as those in the cell see it. */
  async files(folder: string): Promise<string[]> {
    return readdir(this.seen(folder), { recursive: true });
  }

  read(file: string): Promise<string> {
    return readFile(this.seen(file), "utf8");
  }

  /** Changes a byte in the middle of a file of the cache. */
  async damage(file: string): Promise<Mend> {
    // What was linked into the cache is somebody else's as well: another file takes its name.
    const copy = `${file}.damaged`;
    const whole = `${file}.whole`;
    await execa("cp", ["--sparse=always", "--reflink=auto", file, copy]);
    await chmod(copy, 0o600);
    const handle = await open(copy, "r+");
    const at = Math.floor((await handle.stat()).size / 2);
    const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, at);
    await handle.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, at);
    await handle.close();
    await rename(file, whole);
    await rename(copy, file);
    return () => rename(whole, file);
  }

  /** Takes a file out of the cache, where there may be another one in its place until it is mended. */
  async takeAway(name: string): Promise<Mend> {
    const file = join(this.cache, name);
    await rename(file, `${file}.whole`);
    return () => rename(`${file}.whole`, file);
  }

  /** Puts a program before all others of its name. */
  async program(name: string, script: string): Promise<{ readonly path: string }> {
    const folder = join(this.cache, "programs");
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return { path: `${folder}:${process.env["PATH"] ?? ""}` };
  }

  async close(): Promise<void> {
    this.holder.kill("SIGKILL");
    await rm(this.cache, { recursive: true, force: true });
  }

  /** proc(5): the mounts of the holder. */
  private seen(path: string): string {
    return `/proc/${this.holder.pid ?? 0}/root${path}`;
  }
}

async function failed(holder: ChildProcess): Promise<never> {
  const [code] = (await once(holder, "exit")) as [number | null];
  throw new Error(`unshare ended with ${String(code)}: are user namespaces allowed here?`);
}

/**
 * Fills a cache from another one, so that nothing has to be downloaded or built. Big files are links:
 * they are never written to, only replaced.
 */
async function fillCache(from: string, to: string): Promise<void> {
  await symlink(join(from, "toolchain"), join(to, "toolchain"));
  for (const name of ["accelerator.json", "libvirt", "recipes"])
    if (existsSync(join(from, name)))
      await cp(join(from, name), join(to, name), { recursive: true });
  for (const id of await finished(join(from, "images"))) {
    await linkFolder(join(from, "images", id), join(to, "images", id));
    await symlink(join(from, "images", id, "sysroot"), join(to, "images", id, "sysroot"));
  }
  await mkdir(join(to, "warm"), { mode: 0o700 });
  for (const key of await finished(join(from, "warm")))
    await linkFolder(join(from, "warm", key), join(to, "warm", key));
}

/** The folders of a cache that are complete: not being made, not locks and lists of users. */
async function finished(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => !name.startsWith(".") && !/\.(?:users|lock)$/.test(name));
}

async function linkFolder(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const [old, fresh] = [join(from, entry.name), join(to, entry.name)];
    // Notes are rewritten; a link to another disk can't be made.
    if (entry.name.endsWith(".json")) await copyFile(old, fresh);
    else await link(old, fresh).catch(() => copyFile(old, fresh));
  }
}
