import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { warmKey, type WarmKeyParts } from "../../../../lab/warm/key.ts";

const text = fc.string({ maxLength: 8 });
const size = fc.nat({ max: 100 });
const parts: fc.Arbitrary<WarmKeyParts> = fc.record({
  topology: text,
  imageId: text,
  rootBytes: size,
  testBytes: size,
  documents: fc.record({ userData: text, metaData: text, networkConfig: text }),
  emulator: text,
  libvirt: text,
  preparation: text,
});

describe("the key of a warm image", () => {
  it("is 16 hexadecimal digits, the same for the same parts", () => {
    fc.assert(
      fc.property(parts, (some) => {
        expect(warmKey(some)).toMatch(/^[0-9a-f]{16}$/);
        expect(warmKey(structuredClone(some))).toBe(warmKey(some));
      }),
    );
  });

  it("is another one when any part changes", () => {
    fc.assert(
      fc.property(parts, parts, (some, other) => {
        for (const name of Object.keys(some) as (keyof WarmKeyParts)[]) {
          const changed = { ...some, [name]: other[name] };
          const same = JSON.stringify(some[name]) === JSON.stringify(other[name]);
          expect(warmKey(changed) === warmKey(some), name).toBe(same);
        }
        for (const name of ["userData", "metaData", "networkConfig"] as const) {
          const documents = { ...some.documents, [name]: `${some.documents[name]}.` };
          expect(warmKey({ ...some, documents }), name).not.toBe(warmKey(some));
        }
      }),
    );
  });

  it("does not confuse the end of one part with the beginning of the next", () => {
    fc.assert(
      fc.property(parts, fc.string({ minLength: 1, maxLength: 4 }), (some, moved) => {
        const left = { ...some, emulator: some.emulator + moved };
        const right = { ...some, libvirt: moved + some.libvirt };
        expect(warmKey(left)).not.toBe(warmKey(right));
      }),
    );
  });
});
