import { execaSync } from "execa";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { domainXslt } from "../../../../lab/hypervisor/domainXslt.ts";
import { backingStoreXslt } from "../../../../lab/hypervisor/volumeXslt.ts";

const settings = {
  kernelParameters: ["root=/dev/vda", "rw", "console=ttyS0"],
  consoleFile: "/state/console & more.log",
  sshPort: 2222,
  network: "isolated",
} as const;

/** A domain as the provider writes it, shortened. */
const providersDomain = `<domain type="qemu">
  <name>vexlab-unit</name>
  <os><type>hvm</type><kernel>/cache/vmlinuz</kernel></os>
  <devices>
    <disk type="volume" device="disk"><target dev="vda" bus="virtio"/></disk>
    <disk type="volume" device="disk"><target dev="vdb" bus="virtio"/></disk>
    <disk type="volume" device="disk"><target dev="vdc" bus="virtio"/></disk>
    <graphics type="spice"/><console type="pty"/><channel type="unix"/>
    <rng model="virtio"><backend model="random">/dev/urandom</backend></rng>
  </devices>
</domain>`;

function transform(xslt: string, document: string): string {
  const folder = mkdtempSync(join(tmpdir(), "vexlab-xslt-"));
  try {
    writeFileSync(join(folder, "sheet.xslt"), xslt);
    return execaSync("xsltproc", [join(folder, "sheet.xslt"), "-"], { input: document }).stdout;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("what the provider's domain becomes", () => {
  expect(transform(domainXslt(settings), providersDomain)).toMatchSnapshot();
});

test("a debugged guest on an open network", () => {
  const xslt = domainXslt({ ...settings, network: "nat", gdbPort: 1234 });
  const domain = transform(xslt, providersDomain);
  expect(domain).toContain("restrict=off");
  expect(domain).toContain("tcp:127.0.0.1:1234");
});

test("a guest that boots by its own boot loader", () => {
  const others = { ...settings, kernelParameters: undefined };
  const loader = { firmware: "uefi", imageFolder: "/cache/images/a & b" } as const;
  const own = providersDomain.replace("<kernel>/cache/vmlinuz</kernel>", "");
  const domain = transform(domainXslt({ ...others, loader }), own);
  expect(domain).toMatch(/<loader readonly="yes" type="rom">\/usr\/share\/ovmf\/OVMF.fd</);
  expect(domain).toContain('folder="/cache/images/a &amp; b"');
  expect(domain).not.toContain("cmdline>");
  const bios = domainXslt({ ...others, loader: { ...loader, firmware: "bios" } });
  expect(transform(bios, own)).not.toContain("loader");
});

test("everything listens on 127.0.0.1 only", () => {
  const domain = transform(domainXslt({ ...settings, gdbPort: 1234 }), providersDomain);
  for (const [, address] of domain.matchAll(/tcp:([^:]*):/g)) expect(address).toBe("127.0.0.1");
});

test("a volume becomes an overlay", () => {
  const volume = "<volume><name>root.qcow2</name><capacity>1</capacity></volume>";
  expect(transform(backingStoreXslt("/cache/a<b>.qcow2"), volume)).toMatchSnapshot();
});
