import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { create } from "xmlbuilder2";
import {
  forkXml,
  readDefinition,
  topologyOf,
  type ForkDefinition,
} from "../../../../lab/hypervisor/forkXml.ts";

const definition = readFileSync(
  new URL("../../../fixtures/domain/definition.xml", import.meta.url),
  "utf8",
);

const template: ForkDefinition = {
  name: "vexlab-template-0123456789abcdef",
  disks: { vda: "/warm/root.qcow2", vdb: "/warm/test.qcow2", vdc: "/warm/cloud-init.img" },
  consoleFile: "/warm/console.log",
  controlSocket: "/run/x/template.sock",
  memoryFile: "/warm/memory",
  role: "template",
  transient: true,
};
/** The stack's own guest: its disks, its name, its ports. */
const own: ForkDefinition = {
  name: "vexlab-ci",
  uuid: "3f0c9a52-6f0e-4b6e-9a51-2d7c5a1e0b11",
  disks: {},
  consoleFile: "/checkout/.vexlab/stacks/ci/console.log",
  controlSocket: "/run/x/vexlab-ci.sock",
  sshPort: 2225,
  gdbPort: 1234,
  memoryFile: "/warm/memory",
  role: "fork",
  transient: false,
};

/** The definition with a piece of it replaced; the piece must be there. */
function changed(from: string | RegExp, to: string): string {
  const text = definition.replace(from, to);
  expect(text).not.toBe(definition);
  return text;
}

/** The values of QEMU's words. */
function words(xml: string): string[] {
  return [...xml.matchAll(/<qemu:arg value="([^"]*)"/g)].map(([, value]) => value ?? "");
}

const without = (xml: string, patterns: readonly RegExp[]): string =>
  patterns.reduce((text, pattern) => text.replaceAll(pattern, ""), xml);

describe("a domain of a warm image", () => {
  test("the one that is saved", () => {
    expect(forkXml(definition, template)).toMatchSnapshot();
  });

  test("the stack's own guest", () => {
    expect(forkXml(definition, own)).toMatchSnapshot();
  });

  test("a sibling: no ports, no UUID, another share", () => {
    const shareFolder = "/checkout/.vexlab/stacks/ci/builds";
    const sibling = { ...template, name: "vexlab-ci-fork-1-1", role: "fork", shareFolder } as const;
    const xml = forkXml(definition, sibling);
    expect(xml).toContain("<name>vexlab-ci-fork-1-1</name>");
    expect(xml).not.toContain("<uuid>");
    expect(xml).toContain(`<source dir="${shareFolder}"/>`);
    expect(words(xml)).toContain("user,id=ssh0,restrict=on");
    expect(xml).not.toMatch(/hostfwd|-gdb|127\.0\.0\.1|examples\/vexfs/);
    expect(xml).not.toContain("vexlab-ci.sock");
    expect(words(xml).slice(-6)).toEqual([
      ...[
        "-object",
        "memory-backend-file,id=template,size=2147483648,mem-path=/warm/memory,share=off",
      ],
      ...["-machine", "memory-backend=template", "-incoming", "defer"],
    ]);
  });

  test("a sibling can't write to its share, also where the stack's own guest can", () => {
    const writable = changed(/(<target dir='vexfs-src'\/>\s*)<readonly\/>/, "$1");
    const shares = (xml: string): string => /<filesystem[^]*<\/filesystem>/.exec(xml)?.[0] ?? "";
    expect(shares(forkXml(writable, own))).not.toContain("readonly");
    expect(shares(forkXml(writable, { ...own, shareFolder: "/builds" }))).toContain("<readonly/>");
    expect(
      shares(forkXml(definition, { ...own, shareFolder: "/builds" })).match(/readonly/g),
    ).toHaveLength(1);
  });

  test("only the one that is saved writes its memory, and only the others wait for a state", () => {
    const saved = words(forkXml(definition, template));
    expect(saved).not.toContain("-incoming");
    expect(saved.find((word) => word.startsWith("memory-backend-file"))).toMatch(/,share=on$/);
  });

  test("host crashes matter to disks that stay, and to no others", () => {
    expect(forkXml(definition, own)).not.toContain("cache=");
    expect(forkXml(definition, template).match(/cache="unsafe"/g)).toHaveLength(3);
  });

  it("has the devices of the definition at their addresses, whatever its files", () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);
    const path = fc.stringMatching(/^\/[ -~é]{1,30}$/);
    const port = fc.option(fc.integer({ min: 1024, max: 65535 }), { nil: undefined });
    const fork: fc.Arbitrary<ForkDefinition> = fc.record({
      name,
      uuid: fc.option(fc.uuid(), { nil: undefined }),
      disks: fc.record({ vda: path, vdb: path, vdc: path }, { requiredKeys: [] }),
      consoleFile: path,
      controlSocket: path,
      shareFolder: fc.option(path, { nil: undefined }),
      sshPort: port,
      gdbPort: port,
      memoryFile: path,
      role: fc.constantFrom("template", "fork"),
      transient: fc.boolean(),
    });
    const expected = without(topologyOf(definition), [/type="volume" device/g]);
    fc.assert(
      fc.property(fork, (asked) => {
        const xml = forkXml(definition, asked);
        const {
          name: made,
          sshPort,
          gdbPort,
          memoryBytes,
        } = readDefinition(
          asked.uuid === undefined ? xml.replace("</name>", "</name><uuid/>") : xml,
        );
        expect({ made, sshPort, gdbPort }).toEqual({
          ...{ made: asked.name, sshPort: asked.sshPort, gdbPort: asked.gdbPort },
        });
        expect(memoryBytes).toBe(2 ** 31);
        // Its own parts taken off again, nothing is left but the definition.
        const ours =
          /\s*<qemu:arg value="(-object|-machine|-incoming|defer|memory-backend[^"]*)"\/>/g;
        const plain = asked.uuid === undefined ? xml.replace("</name>", "</name><uuid/>") : xml;
        const left = without(topologyOf(plain.replaceAll(ours, "")), [
          / cache="unsafe"/g,
          /type="(file|volume)" device/g,
        ]);
        expect(left).toBe(expected);
      }),
      { numRuns: 30 },
    );
  });

  it("doubles commas for QEMU's options and escapes for XML", () => {
    const xml = forkXml(definition, {
      ...template,
      memoryFile: "/a,b,,c/<memory>",
      consoleFile: '/a,b/"console" & <log>',
    });
    const document = create(xml).root().toString();
    expect(document).toContain("mem-path=/a,,b,,,,c/&lt;memory&gt;,share=on");
    expect(document).toContain("/a,b/&quot;console&quot; &amp; &lt;log&gt;");
  });

  it("leaves disks where they are that are not named", () => {
    const xml = forkXml(definition, { ...own, disks: { vdb: "/other.qcow2" } });
    expect(xml).toContain('<source pool="vexlab-ci" volume="root.qcow2"/>');
    expect(xml).toContain('<source file="/other.qcow2"/>');
    expect(xml).not.toContain('volume="test.qcow2"');
  });
});

describe("what may share a warm image", () => {
  const topology = topologyOf(definition);

  it.each([
    ["name", "<name>vexlab-ci</name>", "<name>vexlab-dev</name>"],
    ["UUID", "3f0c9a52", "00000000"],
    ["pool", /pool='vexlab-ci'/g, "pool='vexlab-dev'"],
    ["console", /\/stacks\/ci\/console/g, "/stacks/dev/console"],
    ["control socket", "vexlab-ci.sock", "vexlab-dev.sock"],
    ["source", "/checkout/examples/vexfs", "/home/me/module"],
    ["SSH port", "127.0.0.1:2225", "127.0.0.1:40000"],
    ["gdb port", "127.0.0.1:1234", "127.0.0.1:1235"],
    ["gdb at all", /<qemu:arg value='-gdb'\/>\s*<qemu:arg value='tcp:127.0.0.1:1234'\/>/, ""],
    // The image's name is a part of the key of its own.
    ["kernel's path", "0123456789ab/vmlinuz", "ba9876543210/vmlinuz"],
    ["initrd's path", "0123456789ab/initrd", "ba9876543210/initrd"],
  ])("stacks that differ in their %s", (_, from, to) => {
    expect(topologyOf(changed(from, to))).toBe(topology);
  });

  it.each([
    ["memory", ">2097152</memory>", ">4194304</memory>"],
    ["processors", "'static'>2<", "'static'>4<"],
    ["processor's model", "qemu64", "max"],
    ["accelerator", "type='qemu'", "type='kvm'"],
    ["kernel parameters", "console=ttyS0", "console=ttyS0 kasan=on"],
    ["machine", "pc-i440fx-7.2", "pc-q35-7.2"],
    ["emulator", "/usr/bin/qemu", "/opt/qemu"],
    ["device's address", "slot='0x08'", "slot='0x0a'"],
    ["devices", "<audio id='1' type='none'/>", ""],
    ["share's mode", "<target dir='vexfs-src'/>\n      <readonly/>", "<target dir='vexfs-src'/>"],
    ["disk's format", "type='raw'", "type='qcow2'"],
    ["network", "restrict=on", "restrict=off"],
    ["network card", "virtio-net-pci", "e1000"],
  ])("not stacks that differ in their %s", (_, from, to) => {
    expect(topologyOf(changed(from, to))).not.toBe(topology);
  });

  it("names no file of a stack and nothing of a warm start", () => {
    expect(topology).not.toMatch(/\/checkout|\/run\/x|\/cache|hostfwd|-gdb|vexlab-ci/);
    expect(topology).not.toMatch(/-incoming|memory-backend/);
  });
});

describe("reading a definition", () => {
  it("finds what is asked of it", () => {
    expect(readDefinition(definition)).toEqual({
      name: "vexlab-ci",
      uuid: own.uuid,
      imageFolder: "/cache/images/debian-12-0123456789ab",
      emulator: "/usr/bin/qemu-system-x86_64",
      hasControlChannel: true,
      memoryBytes: 2 ** 31,
      sshPort: 2225,
      gdbPort: 1234,
    });
    expect(readDefinition(definition).hasControlChannel).toBe(true);
    const without = changed(/<channel[\s\S]*<\/channel>/, "");
    expect(readDefinition(without).hasControlChannel).toBe(false);
  });

  it("finds the image of a guest that boots by its own boot loader", () => {
    const folder = "/cache/images/ubuntu-24.04-0123456789ab";
    const own = changed(/<kernel>[\s\S]*<\/cmdline>/, "").replace(
      "</name>",
      `</name><metadata><vexlab:image xmlns:vexlab="https://vexlab.invalid/domain" folder="${folder}"/></metadata>`,
    );
    expect(own).not.toContain("vmlinuz");
    expect(readDefinition(own).imageFolder).toBe(folder);
    expect(topologyOf(own)).not.toContain(folder);
    expect(() => readDefinition(changed(/<kernel>.*<\/kernel>/, ""))).toThrow(/no <metadata>/);
  });

  it.each([
    ["b", 4096],
    ["bytes", 4096],
    ["KiB", 4096 * 2 ** 10],
    ["MiB", 4096 * 2 ** 20],
    ["GiB", 4096 * 2 ** 30],
  ])("knows %s", (unit, bytes) => {
    const text = changed(/<memory .*/, `<memory unit='${unit}'>4096</memory>`);
    expect(readDefinition(text).memoryBytes).toBe(bytes);
  });

  it("takes memory without a unit as KiB, as libvirt does, and no unit that it doesn't know", () => {
    expect(readDefinition(changed(/<memory .*/, "<memory>4</memory>")).memoryBytes).toBe(4096);
    expect(() => readDefinition(changed(/<memory .*/, "<memory unit='KB'>4</memory>"))).toThrow(
      "the domain's memory is in KB",
    );
  });

  it("has no ports where there are none", () => {
    const text = changed(/<qemu:arg.*\n/g, "");
    expect(readDefinition(text)).not.toHaveProperty("sshPort");
    expect(readDefinition(text)).not.toHaveProperty("gdbPort");
  });

  it.each([
    ["name", /<name>.*/],
    ["uuid", /<uuid>.*/],
    ["memory", /<memory .*/],
    ["os", /<os>[\s\S]*<\/os>/],
    ["devices", /<devices>[\s\S]*<\/devices>/],
  ])("says that <%s> is missing", (name, pattern) => {
    const message = `the domain's definition has no <${name}> in <domain>`;
    expect(() => readDefinition(changed(pattern, ""))).toThrow(message);
  });

  it("says what a device lacks", () => {
    const noSource = changed("<source mode='bind' path='/run/x/vexlab-ci.sock'/>", "");
    expect(() => forkXml(noSource, own)).toThrow("has no <source> in <channel>");
    const noWords = changed(/<qemu:commandline>[\s\S]*<\/qemu:commandline>/, "");
    expect(() => forkXml(noWords, own)).toThrow("has no <qemu:commandline> in <domain>");
  });
});
