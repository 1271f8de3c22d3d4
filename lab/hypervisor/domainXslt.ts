/**
 * The part of a domain that the provider has no arguments for, as an XSLT over the domain XML that
 * the provider makes: the kernel's command line, console to a file, user networking on 127.0.0.1, panic device, serial
 * numbers, gdb. Pure, so that a reviewer sees in a snapshot what a guest gets.
 *
 * Sources: https://libvirt.org/formatdomain.html, https://libvirt.org/drvqemu.html (qemu:commandline),
 * QEMU's invocation manual (-netdev user, -gdb).
 */
import { create } from "xmlbuilder2";

export interface DomainXsltSettings {
  /** The command line of a kernel that is booted directly, word by word. */
  readonly kernelParameters?: readonly string[] | undefined;
  /** For a disk that boots by itself instead. */
  readonly loader?: BootLoader | undefined;
  /** The file on the host that gets the serial console from the first byte. */
  readonly consoleFile: string;
  /** The host's side of the channel to vexlab's agent in the guest; undefined: no channel. */
  readonly controlSocket?: string | undefined;
  /** The port of 127.0.0.1 that is forwarded to the guest's SSH port. */
  readonly sshPort: number;
  /** `isolated`: the port forward only; `nat`: the guest reaches out through the host. */
  readonly network: "isolated" | "nat";
  /** The port of 127.0.0.1 where QEMU's gdb stub listens; undefined: no stub. */
  readonly gdbPort?: number | undefined;
}

/** What boots a disk by its own boot loader. */
export interface BootLoader {
  readonly firmware: "bios" | "uefi";
  /** The image's folder: without a kernel in the definition nothing else tells which it is. */
  readonly imageFolder: string;
}

/**
 * UEFI as one read-only file, whose variables live in memory: no file of a guest's own that snapshots,
 * forks and `destroy` would have to know of. What is booted is EFI/BOOT/BOOTX64.EFI, as in all images
 * that are made for machines that they have never seen (UEFI specification, 3.5.1.1).
 */
export const UEFI_FIRMWARE = "/usr/share/ovmf/OVMF.fd";

/** The namespace of what a definition says for us. */
export const METADATA = "https://vexlab.invalid/domain";

const XSL = "http://www.w3.org/1999/XSL/Transform";
const QEMU = "http://libvirt.org/schemas/domain/qemu/1.0";

/** The serial number of the test disk: how the guest finds it, whatever its letter. */
export const TEST_DISK_SERIAL = "vexlab-test";

/** The name of the channel's port in the guest: /dev/virtio-ports/NAME. */
export const CONTROL_PORT = "vexlab.control";

/** The stylesheet for one guest. */
export function domainXslt(settings: DomainXsltSettings): string {
  const sheet = create({ version: "1.0" }).ele(XSL, "xsl:stylesheet", { version: "1.0" });
  sheet.ele(XSL, "xsl:output", { method: "xml", indent: "yes" });

  const copy = sheet.ele(XSL, "xsl:template", { match: "@*|node()" }).ele(XSL, "xsl:copy");
  copy.ele(XSL, "xsl:apply-templates", { select: "@*|node()" });

  // The provider's own consoles and graphics would each cost a device to probe at every boot.
  for (const unwanted of ["console", "serial", "graphics", "video", "channel", "controller"]) {
    sheet.ele(XSL, "xsl:template", { match: `/domain/devices/${unwanted}` });
  }

  const disk = sheet
    .ele(XSL, "xsl:template", { match: "/domain/devices/disk[target/@dev='vdb']" })
    .ele(XSL, "xsl:copy");
  disk.ele(XSL, "xsl:apply-templates", { select: "@*|node()" });
  disk.ele("serial").txt(TEST_DISK_SERIAL);

  const cloudInit = sheet
    .ele(XSL, "xsl:template", { match: "/domain/devices/disk[target/@dev='vdc']" })
    .ele(XSL, "xsl:copy");
  cloudInit.ele(XSL, "xsl:apply-templates", { select: "@*|node()" });
  cloudInit.ele("readonly");

  const os = sheet.ele(XSL, "xsl:template", { match: "/domain/os" }).ele(XSL, "xsl:copy");
  os.ele(XSL, "xsl:apply-templates", { select: "@*|node()" });
  if (settings.kernelParameters !== undefined)
    os.ele("cmdline").txt(settings.kernelParameters.join(" "));
  if (settings.loader?.firmware === "uefi")
    os.ele("loader", { readonly: "yes", type: "rom" }).txt(UEFI_FIRMWARE);

  const devices = sheet.ele(XSL, "xsl:template", { match: "/domain/devices" }).ele(XSL, "xsl:copy");
  devices.ele(XSL, "xsl:apply-templates", { select: "@*|node()" });
  const serial = devices.ele("serial", { type: "file" });
  serial.ele("source", { path: settings.consoleFile, append: "off" });
  serial.ele("target", { type: "isa-serial", port: "0" });
  if (settings.controlSocket !== undefined) {
    const channel = devices.ele("channel", { type: "unix" });
    channel.ele("source", { mode: "bind", path: settings.controlSocket });
    channel.ele("target", { type: "virtio", name: CONTROL_PORT });
  }
  devices.ele("panic", { model: "isa" });

  const domain = sheet.ele(XSL, "xsl:template", { match: "/domain" }).ele(XSL, "xsl:copy");
  domain.ele(XSL, "xsl:apply-templates", { select: "@*|node()" });
  domain.ele("on_crash").txt("preserve");
  if (settings.loader !== undefined)
    domain.ele("metadata").ele(METADATA, "vexlab:image", { folder: settings.loader.imageFolder });
  /*
   * Without it libvirt asks QEMU 7.2 at each start for the processor's features one by one, 300 times,
   * which costs a quarter of a second; it takes another way to them then (qemu_process.c of libvirt 9.0:
   * qemuProcessFetchGuestCPU). Libvirt's documentation, drvqemu: "QEMU capabilities".
   */
  const capabilities = domain.ele(QEMU, "qemu:capabilities");
  capabilities.ele(QEMU, "qemu:del", { capability: "cpu-unavailable-features" });
  const commandLine = domain.ele(QEMU, "qemu:commandline");
  for (const word of qemuArguments(settings)) commandLine.ele(QEMU, "qemu:arg", { value: word });

  return sheet.end({ prettyPrint: true });
}

/** libvirt 9.0 has no user networking with port forwards of its own. */
function qemuArguments(settings: DomainXsltSettings): string[] {
  const restrict = settings.network === "isolated" ? "on" : "off";
  const forward = `tcp:127.0.0.1:${settings.sshPort}-:22`;
  const words = ["-netdev", `user,id=ssh0,restrict=${restrict},hostfwd=${forward}`];
  words.push("-device", "virtio-net-pci,netdev=ssh0,addr=0x1e");
  if (settings.gdbPort !== undefined) words.push("-gdb", `tcp:127.0.0.1:${settings.gdbPort}`);
  return words;
}
