/** A line that was longer than the limit, in its place among the others. */
export const overlong = Symbol("overlong");

const newline = 0x0a;

/**
 * Cuts a stream of bytes into lines, wherever its pieces were cut, and holds no more than one line.
 */
export class LineSplitter {
  private parts: Buffer[] = [];
  private length = 0;
  private skipping = false;

  /** @param limit bytes of the longest line, without its newline. */
  constructor(private readonly limit: number) {}

  /** The lines that this piece ends, without their newlines; empty ones are left out. */
  push(piece: Buffer): (Buffer | typeof overlong)[] {
    const lines: (Buffer | typeof overlong)[] = [];
    let begin = 0;
    for (;;) {
      const end = piece.indexOf(newline, begin);
      this.hold(piece.subarray(begin, end === -1 ? undefined : end));
      if (end === -1) return lines;
      if (this.skipping) lines.push(overlong);
      else if (this.length > 0) lines.push(Buffer.concat(this.parts, this.length));
      this.parts = [];
      this.length = 0;
      this.skipping = false;
      begin = end + 1;
    }
  }

  /** Whether a line has begun that is too long already. */
  get isOverlong(): boolean {
    return this.skipping;
  }

  private hold(part: Buffer): void {
    if (this.skipping || part.length === 0) return;
    this.length += part.length;
    if (this.length > this.limit) {
      this.skipping = true;
      this.parts = [];
    } else {
      this.parts.push(part);
    }
  }
}
