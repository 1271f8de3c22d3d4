/** What gdb is started with. Pure. */
import { buildMount } from "../build/steps.ts";

/** A section of a loaded module and its address, from /sys/module/NAME/sections. */
export interface LoadedSection {
  readonly name: string;
  readonly address: string;
}

/** A module with debug information that the guest has loaded. */
export interface DebuggedModule {
  /** Relative to the built tree. */
  readonly file: string;
  readonly sections: readonly LoadedSection[];
}

/** What the user wants of gdb, in gdb's own words. */
export interface GdbOptions {
  readonly batch: boolean;
  /** Files of gdb commands on the host, absolute. */
  readonly files: readonly string[];
  /** gdb commands, after the files. */
  readonly commands: readonly string[];
}

export interface GdbSession {
  /** The image's root file system, whose gdb is used. */
  readonly sysroot: string;
  /** The built tree on the host. */
  readonly tree: string;
  /** The file with the kernel's symbols on the host. */
  readonly kernel: string;
  readonly gdbPort: number;
  readonly modules: readonly DebuggedModule[];
}

const kernelInside = "/tmp/vmlinux";

/**
 * Lines `NAME ADDRESS`; what is only for the loader, or freed after init, is left out. The guest tells
 * them, and they become words of gdb's commands.
 */
export function parseSections(text: string): LoadedSection[] {
  return text
    .split("\n")
    .map((line) => /^(\.[\w.]+) (0x[0-9a-f]+)$/.exec(line))
    .flatMap((match) => (match ? [{ name: match[1] ?? "", address: match[2] ?? "" }] : []))
    .filter(
      ({ name, address }) =>
        /^\.(?:text|data|bss|rodata|exit)/.test(name) && !/^0x0+$/.test(address),
    );
}

/** gdb's command that loads a module's symbols; undefined when it has no code. */
export function addSymbolFile({ file, sections }: DebuggedModule): string | undefined {
  const text = sections.find(({ name }) => name === ".text");
  if (text === undefined) return undefined;
  const others = sections.filter(({ name }) => name !== ".text");
  const words = others.map(({ name, address }) => `-s ${name} ${address}`);
  return ["add-symbol-file", `${buildMount}/${file}`, text.address, ...words].join(" ");
}

/**
 * bubblewrap's arguments: gdb of the image, in whose root file system the module was built, so that
 * its names of source files are right. It has the host's network for the stub, and the user's terminal.
 */
export function gdbArguments(session: GdbSession, options: GdbOptions): string[] {
  const { sysroot, tree, kernel, gdbPort, modules } = session;
  const inside = options.files.map((_, index) => `/tmp/commands-${index + 1}`);
  const commands = [
    "set confirm off",
    "set architecture i386:x86-64",
    ...modules.map(addSymbolFile).filter((line) => line !== undefined),
    `target remote 127.0.0.1:${gdbPort}`,
  ];
  return [
    ...["--ro-bind", sysroot, "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"],
    ...["--tmpfs", "/mnt", "--ro-bind", tree, buildMount, "--ro-bind", kernel, kernelInside],
    ...options.files.flatMap((file, index) => ["--ro-bind", file, inside[index] ?? ""]),
    ...["--unshare-ipc", "--die-with-parent", "--setenv", "HOME", "/tmp", "--chdir", buildMount],
    ...["--", "gdb", "--quiet", "--nx", ...(options.batch ? ["--batch"] : [])],
    ...commands.flatMap((command) => ["-ex", command]),
    ...inside.flatMap((file) => ["-x", file]),
    ...options.commands.flatMap((command) => ["-ex", command]),
    kernelInside,
  ];
}
