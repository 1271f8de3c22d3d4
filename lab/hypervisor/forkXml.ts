/**
 * The XML of a domain that is started from a saved memory state, made from the XML of the domain
 * that Pulumi defined: the same devices at the same addresses, other files behind them. Pure.
 *
 * The memory of all domains that come from one state is a file: the template writes it (share=on),
 * forks map it privately (share=off), so that what they don't change exists once. The defined domain
 * itself never holds any of this: it boots cold.
 *
 * Sources: https://libvirt.org/formatdomain.html, https://libvirt.org/drvqemu.html
 * (qemu:commandline); QEMU's invocation manual, -object memory-backend-file and -incoming; QEMU's
 * docs/devel/migration (x-ignore-shared).
 */
import { dirname } from "node:path";
import { create } from "xmlbuilder2";

/** The files and names of one domain of a warm image. */
export interface ForkDefinition {
  readonly name: string;
  /** libvirt makes one when undefined. */
  readonly uuid?: string | undefined;
  /** By target (`vda`), absolute paths; disks that are not named stay where they are. */
  readonly disks: Readonly<Record<string, string>>;
  readonly consoleFile: string;
  readonly controlSocket: string;
  /** The host folder behind the share, which the guest can't write to; undefined: the definition's. */
  readonly shareFolder?: string | undefined;
  /** The port of 127.0.0.1 that leads to the guest's SSH; undefined: none. */
  readonly sshPort?: number | undefined;
  /** The port of 127.0.0.1 for QEMU's gdb stub; undefined: none. */
  readonly gdbPort?: number | undefined;
  readonly memoryFile: string;
  /** `template`: boots, and its memory is the file; `fork`: waits for a saved state. */
  readonly role: "template" | "fork";
  /** Its disks need not outlive a crash of the host: what the guest flushes is not waited for. */
  readonly transient: boolean;
}

type Builder = ReturnType<typeof create>;

/** What a definition says that is asked of it here. */
export interface DefinitionFacts {
  readonly name: string;
  readonly uuid: string;
  /** The folder of the image that is booted. */
  readonly imageFolder: string;
  /** The program of QEMU. */
  readonly emulator: string;
  readonly memoryBytes: number;
  readonly sshPort?: number;
  readonly gdbPort?: number;
  /** Whether the guest has the channel that forks are spoken to by. */
  readonly hasControlChannel: boolean;
}

const forwardPattern = /,hostfwd=tcp:127\.0\.0\.1:(\d+)-:22/;
const unitBytes: Readonly<Record<string, number>> = {
  b: 1,
  bytes: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/** Reads a definition. @throws Error when it is not a domain's. */
export function readDefinition(definition: string): DefinitionFacts {
  const root = create(definition).root();
  const devices = required(root, "devices");
  const words = qemuWords(root);
  const sshPort = words.map((word) => forwardPattern.exec(word)?.[1]).find(Boolean);
  const gdb = words[words.indexOf("-gdb") + 1];
  const gdbPort = words.includes("-gdb") ? /:(\d+)$/.exec(gdb ?? "")?.[1] : undefined;
  return {
    name: textOf(required(root, "name")),
    uuid: textOf(required(root, "uuid")),
    imageFolder: imageFolderOf(root),
    emulator: textOf(required(devices, "emulator")),
    memoryBytes: memoryBytesOf(root),
    ...(sshPort === undefined ? {} : { sshPort: Number(sshPort) }),
    ...(gdbPort === undefined ? {} : { gdbPort: Number(gdbPort) }),
    hasControlChannel: all(devices, "channel").length > 0,
  };
}

/** The definition as a domain of a warm image. */
export function forkXml(definition: string, fork: ForkDefinition): string {
  const root = create(definition).root();
  const memoryBytes = memoryBytesOf(root);
  required(root, "name").node.textContent = fork.name;
  const uuid = required(root, "uuid");
  if (fork.uuid === undefined) uuid.remove();
  else uuid.node.textContent = fork.uuid;
  const devices = required(root, "devices");
  for (const disk of all(devices, "disk")) {
    placeDisk(disk, fork.disks);
    if (fork.transient) required(disk, "driver").att("cache", "unsafe");
  }
  for (const kind of ["serial", "console"])
    for (const device of all(devices, kind))
      required(device, "source").att("path", fork.consoleFile);
  for (const device of all(devices, "channel"))
    required(device, "source").att("path", fork.controlSocket);
  if (fork.shareFolder !== undefined)
    for (const share of all(devices, "filesystem")) {
      required(share, "source").att("dir", fork.shareFolder);
      // The stack's guest may write to the user's sources, perhaps; nobody to anything else.
      if (all(share, "readonly").length === 0) share.ele("readonly");
    }

  const words = withPorts(qemuWords(root), fork);
  const share = fork.role === "template" ? "on" : "off";
  words.push(
    "-object",
    `memory-backend-file,id=template,size=${memoryBytes},mem-path=${fork.memoryFile.replaceAll(",", ",,")},share=${share}`,
    ...["-machine", "memory-backend=template"],
    ...(fork.role === "fork" ? ["-incoming", "defer"] : []),
  );
  setQemuWords(root, words);
  return root.end({ prettyPrint: true, headless: true });
}

/**
 * A definition without what differs between stacks that may share a warm image: names, files, ports.
 * Two definitions with the same text have the same devices at the same addresses.
 */
export function topologyOf(definition: string): string {
  const root = create(definition).root();
  for (const name of ["name", "uuid"]) required(root, name).remove();
  const os = required(root, "os");
  for (const name of ["kernel", "initrd"]) for (const file of all(os, name)) file.remove();
  for (const metadata of all(root, "metadata")) metadata.remove();
  const devices = required(root, "devices");
  for (const kind of ["disk", "serial", "console", "channel", "filesystem"])
    for (const device of all(devices, kind)) required(device, "source").remove();
  setQemuWords(root, withPorts(qemuWords(root), {}));
  return root.end({ prettyPrint: true, headless: true });
}

function memoryBytesOf(root: Builder): number {
  const memory = required(root, "memory");
  const unit = attribute(memory, "unit") ?? "KiB";
  const bytes = Number(textOf(memory)) * (unitBytes[unit] ?? Number.NaN);
  if (!Number.isSafeInteger(bytes)) throw new Error(`the domain's memory is in ${unit}`);
  return bytes;
}

function placeDisk(disk: Builder, disks: Readonly<Record<string, string>>): void {
  const target = attribute(required(disk, "target"), "dev") ?? "";
  const file = disks[target];
  if (file === undefined) return;
  disk.att("type", "file");
  const source = required(disk, "source");
  for (const name of ["pool", "volume"]) source.removeAtt(name);
  source.att("file", file);
}

/** Beside the kernel that is booted directly, or as the definition says (domainXslt.ts). */
function imageFolderOf(root: Builder): string {
  const kernel = all(required(root, "os"), "kernel")[0];
  if (kernel !== undefined) return dirname(textOf(kernel));
  const folder = attribute(required(required(root, "metadata"), "vexlab:image"), "folder");
  if (folder === undefined) throw new Error("the domain's definition names no image");
  return folder;
}

/** QEMU's words with these ports and no others. */
function withPorts(
  words: readonly string[],
  ports: { readonly sshPort?: number | undefined; readonly gdbPort?: number | undefined },
): string[] {
  const gdb = words.indexOf("-gdb");
  const kept = gdb < 0 ? [...words] : [...words.slice(0, gdb), ...words.slice(gdb + 2)];
  const forward = ports.sshPort === undefined ? "" : `,hostfwd=tcp:127.0.0.1:${ports.sshPort}-:22`;
  const forwarded = kept.map((word) =>
    word.startsWith("user,id=ssh0") ? word.replace(forwardPattern, "") + forward : word,
  );
  if (ports.gdbPort === undefined) return forwarded;
  return [...forwarded, "-gdb", `tcp:127.0.0.1:${ports.gdbPort}`];
}

function qemuWords(root: Builder): string[] {
  const commandLine = all(root, "qemu:commandline")[0];
  if (commandLine === undefined) return [];
  return all(commandLine, "qemu:arg").map((arg) => attribute(arg, "value") ?? "");
}

function setQemuWords(root: Builder, words: readonly string[]): void {
  const commandLine = required(root, "qemu:commandline");
  for (const arg of all(commandLine, "qemu:arg")) arg.remove();
  for (const word of words) commandLine.ele("qemu:arg", { value: word });
}

/** The children of that name. */
function all(parent: Builder, name: string): Builder[] {
  return parent.filter((child) => child.node.nodeName === name);
}

function required(parent: Builder, name: string): Builder {
  const child = all(parent, name)[0];
  if (child === undefined)
    throw new Error(`the domain's definition has no <${name}> in <${parent.node.nodeName}>`);
  return child;
}

/** The library's type of a node doesn't know that it is an element. */
function attribute(element: Builder, name: string): string | undefined {
  const node = element.node as unknown as { getAttribute(name: string): string | null };
  return node.getAttribute(name) ?? undefined;
}

const textOf = (element: Builder): string => (element.node.textContent ?? "").trim();
