/** What a kernel's build is doing, from the lines that make prints. Pure. */

/** Kbuild's short lines: a command and the file that it makes ("  CC [M]  drivers/md/dm-dust.o"). */
const work = /^ {2}([A-Z][A-Z0-9_]*(?: \[[A-Z]\])?) +(\S+)$/;

const compiles = /^(?:CC|AS|HOSTCC)\b/;

export interface MakeState {
  /** Files that were compiled so far. */
  readonly compiled: number;
  /** The last thing that was made: `CC fs/ext4/inode.o`. */
  readonly last: string;
}

export const notBegun: MakeState = { compiled: 0, last: "" };

/** The state after one more line. */
export function afterLine(state: MakeState, line: string): MakeState {
  const [, command = "", file = ""] = work.exec(line) ?? [];
  if (command === "") return state;
  return {
    compiled: state.compiled + (compiles.test(command) ? 1 : 0),
    last: `${command} ${file}`,
  };
}

/** For a person: how far it is, of how many where that is known. */
export function describeMake({ compiled, last }: MakeState): string {
  return last === "" ? "make has not said anything yet" : `${compiled} files compiled, now ${last}`;
}
