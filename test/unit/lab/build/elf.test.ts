import fc from "fast-check";
import { expect, it } from "vitest";
import { elfSection, elfSymbols, parseModinfo } from "../../../../lab/build/elf.ts";
import { elfFile, moduleFile, symbolSections } from "./moduleFile.ts";

const info =
  "license=GPL\0author=A = B\0parm=x:int\0parm=y:int\0\0vermagic=6.1.0 SMP mod_unload \0";

it.each([true, false])("reads .modinfo (little endian: %s)", (little) => {
  const read = parseModinfo(moduleFile(info, little));
  expect(read?.get("vermagic")).toEqual(["6.1.0 SMP mod_unload "]);
  expect(read?.get("parm")).toEqual(["x:int", "y:int"]);
  expect(read?.get("author")).toEqual(["A = B"]);
});

const symbols = [
  { name: "hello_write", section: 1, value: 0x40 },
  { name: "hello_init", section: 2, value: 0x10 },
];
const withSymbols = (little: boolean): Buffer =>
  elfFile(
    {
      ...{ ".text": Buffer.alloc(8), ".init.text": Buffer.alloc(8) },
      // Section 0xfff1 is an absolute value, a file's name, say.
      ...symbolSections([...symbols, { name: "hello.c", section: 0xfff1, value: 0 }], little),
    },
    little,
  );

it.each([true, false])("reads symbols (little endian: %s)", (little) => {
  expect(elfSymbols(withSymbols(little))).toEqual([
    { name: "hello_write", section: ".text", value: 0x40 },
    { name: "hello_init", section: ".init.text", value: 0x10 },
  ]);
  expect(elfSymbols(moduleFile(info, little))).toEqual([]);
});

it("takes nothing else for a module", () => {
  expect(parseModinfo(Buffer.from("#!/bin/sh\n"))).toBeUndefined();
  expect(parseModinfo(Buffer.alloc(0))).toBeUndefined();
  expect(elfSection(moduleFile(info), ".none")).toBeUndefined();
});

it.each([
  ["modinfo", moduleFile(info)],
  ["symbols", withSymbols(true)],
])("survives damage of %s", (_, whole) => {
  fc.assert(
    fc.property(fc.nat(whole.length), fc.nat(whole.length - 1), fc.nat(255), (length, at, byte) => {
      const damaged = Buffer.from(whole.subarray(0, length));
      if (at < length) damaged[at] = byte;
      parseModinfo(damaged);
      elfSymbols(damaged);
    }),
    { numRuns: 2000 },
  );
});
