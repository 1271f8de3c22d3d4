import { quote } from "shell-quote";

/**
 * The argument list as one line for a POSIX shell, which is what an SSH `exec` request carries:
 * the shell splits it into exactly the same words.
 * @throws TypeError for a NUL byte, which no argument of a Unix program can hold, and for an empty list.
 */
export function shellWords(argv: readonly string[]): string {
  if (argv.length === 0) throw new TypeError("an empty argument list names no program");
  if (argv.some((word) => word.includes("\0"))) {
    throw new TypeError("an argument can't hold a NUL byte");
  }
  return quote([...argv]);
}
