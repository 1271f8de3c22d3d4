/**
 * The patterns of the shell's `case` (POSIX, "Pattern Matching Notation"): `*`, `?` and `[…]`. Cases
 * are chosen in the guest, by a shell as a rule, and their names are sentences: libraries for paths
 * would give `/`, `{` and `(` a meaning that they don't have there.
 */

/** Whether the whole text matches. */
export function matches(pattern: string, text: string): boolean {
  return expressionOf(pattern).test(text);
}

// A ] right after the [ or the ! is one of the set.
const special = /\*+|\?|\[(!|(?!!))(\]?[^\]]+|\])\]/g;

function expressionOf(pattern: string): RegExp {
  let from = 0;
  let source = "";
  for (const match of pattern.matchAll(special)) {
    source += literal(pattern.slice(from, match.index)) + expressionFor(match);
    from = match.index + match[0].length;
  }
  return new RegExp(`^${source}${literal(pattern.slice(from))}$`, "su");
}

function expressionFor([whole, not = "", set = ""]: RegExpMatchArray): string {
  if (whole.startsWith("*")) return ".*";
  return whole === "?" ? "." : setOf(not !== "", set);
}

/** `a-z]`: single characters and ranges; a `-` at an end is itself. */
function setOf(not: boolean, set: string): string {
  const characters = Array.from(set);
  const parts: string[] = [];
  while (characters.length > 0) {
    const first = characters.shift() ?? "";
    if (characters[0] !== "-" || characters.length < 2) {
      parts.push(inSet(first));
      continue;
    }
    const [, last = ""] = characters.splice(0, 2);
    // A range that runs backwards holds nothing.
    if (codeOf(first) <= codeOf(last)) parts.push(`${inSet(first)}-${inSet(last)}`);
  }
  return `[${not ? "^" : ""}${parts.join("")}]`;
}

const codeOf = (character: string): number => character.codePointAt(0) ?? 0;
const inSet = (character: string): string => character.replace(/[\\\]^[-]/, "\\$&");
const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
