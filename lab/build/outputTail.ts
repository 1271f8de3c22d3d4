/** The output of a build command: passed on as it comes, its beginning and end kept for errors. */

// Enough for thousands of compiler messages. A build that prints for ever must not fill the disk.
const largestLog = 64 * 1024 * 1024;
const kept = 512 * 1024;

export class OutputTail {
  private head = "";
  private tail = "";
  private passed = 0;
  /** Lines so far. */
  lines = 0;

  constructor(private readonly pass: (text: string) => void) {}

  add(text: string): void {
    this.lines += text.split("\n").length - 1;
    const room = kept - this.head.length;
    this.head += text.slice(0, room);
    this.tail = (this.tail + text.slice(room)).slice(-kept);
    if (this.passed >= largestLog) return;
    this.passed += text.length;
    this.pass(this.passed < largestLog ? text : `${text}\n[the rest of the output is not kept]\n`);
  }

  /** The first and last half mebibyte: the first error is in one of them. */
  get text(): string {
    return this.head + this.tail;
  }
}
