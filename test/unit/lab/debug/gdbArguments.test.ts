import { expect, test } from "vitest";
import { addSymbolFile, gdbArguments, parseSections } from "../../../../lab/debug/gdbArguments.ts";

const text = [
  ".text 0xffffffffc0001000",
  ".init.text 0xffffffffc0009000",
  ".bss 0xffffffffc0003000",
  ".data 0x0000000000000000",
  "__param 0xffffffffc0004000",
  ".strtab 0xffffffffc0005000",
].join("\n");
const module = { file: "kernel/hello.ko", sections: parseSections(text) };

test("only sections of code and data that stay are told to gdb", () => {
  expect(module.sections.map(({ name }) => name)).toEqual([".text", ".bss"]);
});

test("the guest's names are words, and nothing else", () => {
  const evil = [".text.$(reboot)", ".text'", ".data|shell", ".bss\u001b[2J", ".text.hot"];
  const lines = evil.map((name) => `${name} 0xffffffffc0001000`).join("\n");
  expect(parseSections(lines).map(({ name }) => name)).toEqual([".text.hot"]);
});

test("a module's symbols are loaded where its sections lie", () => {
  expect(addSymbolFile(module)).toBe(
    "add-symbol-file /mnt/vexlab-build/kernel/hello.ko 0xffffffffc0001000 -s .bss 0xffffffffc0003000",
  );
  expect(addSymbolFile({ ...module, sections: [] })).toBeUndefined();
});

test("symbols, then the guest, then the user's files and commands, as words of their own", () => {
  const session = {
    ...{ sysroot: "/images/root", tree: "/builds/tree", kernel: "/stack/vmlinux", gdbPort: 1234 },
    modules: [module],
  };
  const options = { batch: true, files: ["/home/me/my commands"], commands: ["print 1; 2"] };
  const argv = gdbArguments(session, options);
  const at = (word: string): number => argv.indexOf(word);
  const order = [
    "gdb",
    "--batch",
    addSymbolFile(module) ?? "",
    "target remote 127.0.0.1:1234",
    "-x",
    "print 1; 2",
  ].map(at);
  expect(order).not.toContain(-1);
  expect(order).toEqual(order.toSorted((a, b) => a - b));
  expect(argv.slice(at("/home/me/my commands") - 1)).toEqual(
    expect.arrayContaining(["--ro-bind", "/home/me/my commands", "/tmp/commands-1"]),
  );
  expect(gdbArguments(session, { ...options, batch: false })).not.toContain("--batch");
});
