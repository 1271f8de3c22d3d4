import fc from "fast-check";

/**
 * Any character of Unicode, for `fc.string({ unit: anyCharacter })`. fast-check's own "binary" is the
 * same, but takes a second of processor time to be made.
 */
export const anyCharacter = fc
  .integer({ min: 0, max: 0x10ffff })
  .filter((code) => code < 0xd800 || code > 0xdfff)
  .map((code) => String.fromCodePoint(code));
