import fc from "fast-check";
import { expect, it } from "vitest";
import { elfSection, parseModinfo } from "../../../../lab/build/elf.ts";
import { moduleFile } from "./moduleFile.ts";

const info =
  "license=GPL\0author=A = B\0parm=x:int\0parm=y:int\0\0vermagic=6.1.0 SMP mod_unload \0";

it.each([true, false])("reads .modinfo (little endian: %s)", (little) => {
  const read = parseModinfo(moduleFile(info, little));
  expect(read?.get("vermagic")).toEqual(["6.1.0 SMP mod_unload "]);
  expect(read?.get("parm")).toEqual(["x:int", "y:int"]);
  expect(read?.get("author")).toEqual(["A = B"]);
});

it("takes nothing else for a module", () => {
  expect(parseModinfo(Buffer.from("#!/bin/sh\n"))).toBeUndefined();
  expect(parseModinfo(Buffer.alloc(0))).toBeUndefined();
  expect(elfSection(moduleFile(info), ".none")).toBeUndefined();
});

it("survives damage", () => {
  const whole = moduleFile(info);
  fc.assert(
    fc.property(fc.nat(whole.length), fc.nat(whole.length - 1), fc.nat(255), (length, at, byte) => {
      const damaged = Buffer.from(whole.subarray(0, length));
      if (at < length) damaged[at] = byte;
      parseModinfo(damaged);
    }),
    { numRuns: 2000 },
  );
});
