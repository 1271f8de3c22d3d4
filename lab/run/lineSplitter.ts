import { longestLine } from "./ktap.ts";

/** Cuts a stream of chunks into lines; a line longer than the KTAP parser keeps is cut there too. */
export class LineSplitter {
  private partial = "";

  /** The lines completed by this chunk, without their line ends. */
  push(chunk: string): string[] {
    const parts = (this.partial + chunk).split("\n");
    this.partial = (parts.pop() ?? "").slice(0, longestLine);
    return parts.map((line) => line.slice(0, longestLine).replace(/\r$/, ""));
  }

  /** A last line without line end, if there is one. */
  end(): string[] {
    const last = this.partial;
    this.partial = "";
    return last === "" ? [] : [last];
  }
}
