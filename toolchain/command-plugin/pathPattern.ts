/**
 * The path patterns of `assetPaths` and `archivePaths`. `*` matches anything but `/`, `**` anything
 * with it, `?` one character but `/`, `[a-z]`, `[abc]` and `[!…]` one of a set, `{a,b}` one of
 * several patterns, a backslash takes the next character's meaning away.
 */

/** A compiled list of patterns, in which those after `!` exclude; the last that matches decides. */
export type PathFilter = (path: string) => boolean;

/** Compiles the patterns; throws an Error that names the pattern that is wrong. */
export function pathFilter(patterns: readonly string[]): PathFilter {
  const rules = patterns.map((pattern) => {
    const excludes = pattern.startsWith("!");
    return { excludes, expression: compile(excludes ? pattern.slice(1) : pattern) };
  });
  return (path) => {
    const last = rules.findLast(({ expression }) => expression.test(path));
    return last !== undefined && !last.excludes;
  };
}

function compile(pattern: string): RegExp {
  const wrong = (what: string) => new Error(`the path pattern "${pattern}" has ${what}`);
  let expression = "";
  let depth = 0;
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern.charAt(at);
    if (character === "\\") {
      if (++at === pattern.length) throw wrong("a backslash at its end");
      expression += literal(pattern.charAt(at));
    } else if (character === "*") {
      const crosses = pattern.charAt(at + 1) === "*";
      while (pattern.charAt(at + 1) === "*") at++;
      expression += crosses ? ".*" : "[^/]*";
    } else if (character === "?") {
      expression += "[^/]";
    } else if (character === "[") {
      const end = pattern.indexOf("]", at + 2);
      if (end < 0) throw wrong("a [ without its ]");
      expression += characterSet(pattern.slice(at + 1, end));
      at = end;
    } else if (character === "{") {
      depth++;
      expression += "(?:";
    } else if (character === "}" && depth > 0) {
      depth--;
      expression += ")";
    } else if (character === "," && depth > 0) {
      expression += "|";
    } else {
      expression += literal(character);
    }
  }
  if (depth > 0) throw wrong("a { without its }");
  return new RegExp(`^${expression}$`, "s");
}

function characterSet(content: string): string {
  const negated = content.startsWith("!");
  const members = negated ? content.slice(1) : content;
  const range = /^(.)-(.)$/s.exec(members);
  const set = range
    ? `${literal(range[1] ?? "")}-${literal(range[2] ?? "")}`
    : Array.from(members, literal).join("");
  return `[${negated ? "^" : ""}${set}]`;
}

function literal(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/-]/, "\\$&");
}
