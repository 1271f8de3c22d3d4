/** Cuts a stream of bytes into lines, without ever holding more than a line. */
import { StringDecoder } from "node:string_decoder";

/** A longer line is handed on in pieces of about this many characters. */
const longestLine = 64 * 1024;

export class LineSplitter {
  private readonly decoder = new StringDecoder("utf8");
  private rest = "";

  constructor(private readonly onLine: (line: string) => void) {}

  write(chunk: Buffer): void {
    this.take(this.decoder.write(chunk));
  }

  /** The end of the stream: what is left is a line, even without its line feed. */
  end(): void {
    this.take(this.decoder.end());
    if (this.rest !== "") this.onLine(this.rest);
    this.rest = "";
  }

  private take(text: string): void {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    for (const line of lines) this.onLine(line.endsWith("\r") ? line.slice(0, -1) : line);
    if (this.rest.length >= longestLine) {
      this.onLine(this.rest);
      this.rest = "";
    }
  }
}
