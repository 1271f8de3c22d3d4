import { expect, test } from "vitest";
import { elfSymbols } from "../../../../lab/build/elf.ts";
import { kernelSymbolFile, parseKallsyms } from "../../../../lab/debug/symbolFile.ts";

const text = [
  "0000000000000000 A fixed_percpu_data",
  "ffffffff81000000 T _stext",
  "ffffffff81000010 t do_thing",
  "ffffffff81000100 T _etext",
  "ffffffff82000000 D jiffies",
  "ffffffff82000010 D evil\u001b[2J",
  "ffffffffc0001000 t hello_init\t[hello]",
  "",
].join("\n");

test("the kernel's own symbols are read, not those of modules and processors' data", () => {
  const names = parseKallsyms(text).map(({ name }) => name);
  expect(names).toEqual(["_stext", "do_thing", "_etext", "jiffies"]);
});

test("the file has the code's symbols in the section of the code, at their addresses", () => {
  expect(elfSymbols(kernelSymbolFile(parseKallsyms(text)))).toEqual([
    { name: "_stext", section: ".text", value: Number(0xffffffff81000000n) },
    { name: "do_thing", section: ".text", value: Number(0xffffffff81000010n) },
  ]);
});

test("hidden addresses are no symbols", () => {
  expect(() =>
    kernelSymbolFile(parseKallsyms(text.replaceAll(/[1-9a-f](?=\w* [TtD])/g, "0"))),
  ).toThrow(/where its code is/);
});
