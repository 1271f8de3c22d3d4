import fc from "fast-check";
import { expect, it } from "vitest";
import { nearest } from "../../../../lab/config/nearest.ts";

const keys = ["memory", "cpus", "sshPort", "gdbPort", "diskSize", "testDiskSize"];

it.each([
  ["memroy", "memory"],
  ["Memory", "memory"],
  ["cpu", "cpus"],
  ["ssh_port", "sshPort"],
  ["disksize", "diskSize"],
])("%s → %s", (name, meant) => expect(nearest(name, keys)).toBe(meant));

it("takes two swapped letters for one mistake, also in short words", () => {
  expect(nearest("tgc", ["kvm", "tcg"])).toBe("tcg");
});

it("does not guess wildly", () => {
  expect(nearest("banana", keys)).toBeUndefined();
  expect(nearest("x", keys)).toBeUndefined();
});

it("finds every key after one typing mistake", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...keys),
      fc.nat(),
      fc.constantFrom("x", "7", ""),
      (key, at, put) => {
        const index = at % key.length;
        expect(nearest(key.slice(0, index) + put + key.slice(index + 1), keys)).toBe(key);
      },
    ),
  );
});
