/**
 * The order of Debian's package versions, as deb-version(7) defines it: epoch, upstream version,
 * revision; in each, runs of non-digits (where `~` comes before the end, and letters before the rest)
 * alternate with numbers.
 */

/** Negative when `a` is older than `b`, 0 when they are the same, positive when it is newer. */
export function compareVersions(a: string, b: string): number {
  const [one, other] = [split(a), split(b)];
  return (
    one.epoch - other.epoch ||
    comparePart(one.upstream, other.upstream) ||
    comparePart(one.revision, other.revision)
  );
}

function split(version: string): { epoch: number; upstream: string; revision: string } {
  const colon = version.indexOf(":");
  const rest = version.slice(colon + 1);
  const dash = rest.lastIndexOf("-");
  return {
    epoch: colon < 0 ? 0 : Number(version.slice(0, colon)),
    upstream: dash < 0 ? rest : rest.slice(0, dash),
    // No revision is the same as revision 0.
    revision: dash < 0 ? "0" : rest.slice(dash + 1),
  };
}

function comparePart(a: string, b: string): number {
  let [left, right] = [a, b];
  while (left !== "" || right !== "") {
    const leftWord = /^\D*/.exec(left)?.[0] ?? "";
    const rightWord = /^\D*/.exec(right)?.[0] ?? "";
    const words = compareWords(leftWord, rightWord);
    if (words !== 0) return words;
    left = left.slice(leftWord.length);
    right = right.slice(rightWord.length);
    const leftDigits = /^\d*/.exec(left)?.[0] ?? "";
    const rightDigits = /^\d*/.exec(right)?.[0] ?? "";
    const numbers = compareNumbers(leftDigits, rightDigits);
    if (numbers !== 0) return numbers;
    left = left.slice(leftDigits.length);
    right = right.slice(rightDigits.length);
  }
  return 0;
}

function compareWords(a: string, b: string): number {
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const difference = weight(a, at) - weight(b, at);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Of a character in a run of non-digits; the end of the run weighs 0. */
function weight(word: string, at: number): number {
  const character = word[at];
  if (character === undefined) return 0;
  if (character === "~") return -1;
  const code = character.charCodeAt(0);
  return /[A-Za-z]/.test(character) ? code : code + 256;
}

// Digits of any length, beyond what a number holds exactly.
function compareNumbers(a: string, b: string): number {
  const [one, other] = [a.replace(/^0+/, ""), b.replace(/^0+/, "")];
  return one.length - other.length || (one < other ? -1 : one > other ? 1 : 0);
}
