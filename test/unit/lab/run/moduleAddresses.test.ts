import { chmod, mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { loadedCode, noteModuleAddresses, withNames } from "../../../../lab/run/moduleAddresses.ts";
import { elfFile, symbolSections } from "../build/moduleFile.ts";
import { FakeGuest, plan } from "./fakeGuest.ts";

const code = [
  {
    module: "hello",
    address: 0xffffffffc0200000n,
    bytes: 0x100,
    symbols: [
      { name: "hello_open", value: 0x20 },
      { name: "hello_read", value: 0x80 },
    ],
  },
];

describe("addresses of modules that are gone", () => {
  it("are named as the kernel names them", () => {
    const text = "    [<00000000a1b2c3d4>] 0xffffffffc0200031\n    0xffffffffc0200090\n";
    expect(withNames(text, code)).toBe(
      "    [<00000000a1b2c3d4>] hello_open+0x11/0x60 [hello]\n    hello_read+0x10/0x80 [hello]\n",
    );
  });

  it("stay what they are outside of the code, before its first symbol, and in other places", () => {
    const text = [
      ...["0xffffffffc0200100", "0xffffffffc01fffff", "0xffffffffc0200010"],
      "unreferenced object 0xffffffffc0200031 (size 64):",
    ].join("\n");
    expect(withNames(text, code)).toBe(text);
  });

  it("are those of the file that was loaded, by what the guest has noted", async () => {
    const folder = await mkdtemp(join(tmpdir(), "noted-"));
    const symbols = symbolSections([{ name: "hello_open", section: 1, value: 4 }]);
    const file = elfFile({ ".text": Buffer.alloc(16), ...symbols });
    await writeFile(join(folder, "hello.ko"), file);
    const notes = [
      ...["hello .text 0xffffffffc0300000", "hello .text 0xffffffffc0300000"],
      ...["other .text 0xffffffffc0400000", "hello .init.text", ""],
    ].join("\n");
    expect(await loadedCode(notes, { ...plan, localFolder: folder })).toEqual([
      {
        module: "hello",
        address: 0xffffffffc0300000n,
        bytes: 16,
        symbols: [{ name: "hello_open", section: ".text", value: 4 }],
      },
    ]);
  });
});

it("notes the addresses after each insmod, whose result it keeps", async () => {
  const guest = new FakeGuest();
  await noteModuleAddresses(guest, plan);
  const root = await mkdtemp(join(tmpdir(), "noting-"));
  const moved = (text: string): string =>
    text.replaceAll(/\/(run\/vexlab|sbin|sys\/module)\//g, `${root}/$1/`);
  const script = moved(guest.ran[0] ?? "").replace(/^sudo -n sh -c /, "");
  const [program = ""] = script.split(" sh hello");
  await execa("sh", ["-c", program, "sh", "hello"]);
  await mkdir(join(root, "sbin"));
  await mkdir(join(root, "sys/module/hello/sections"), { recursive: true });
  await writeFile(join(root, "sys/module/hello/sections/.text"), "0xffffffffc0200000\n");
  await writeFile(join(root, "sys/module/hello/sections/.data"), "0xffffffffc0300000\n");
  await writeFile(join(root, "sbin/insmod"), `#!/bin/sh\necho "$@" >${root}/said\nexit 3\n`);
  await chmod(join(root, "sbin/insmod"), 0o755);
  const noted = join(root, "run/vexlab/noted");
  const run = await execa(join(noted, "insmod"), ["a b.ko", "x=1"], { reject: false });
  expect(run.exitCode).toBe(3);
  expect(await readFile(join(root, "said"), "utf8")).toBe("a b.ko x=1\n");
  expect(await readFile(join(noted, "addresses"), "utf8")).toBe("hello .text 0xffffffffc0200000\n");
});
