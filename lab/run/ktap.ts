/**
 * An incremental parser of KTAP, the kernel's dialect of the Test Anything Protocol.
 *
 * The format is described in the kernel's Documentation/dev-tools/ktap.rst; version lines of TAP 13
 * and 14 and TAP 14's YAML blocks are accepted too. Pure: text goes in, events and at the end a
 * tree come out. No input makes it throw; what is wrong with the output is in each level's
 * `problems` and, where it needs the whole level, in `cases.ts`.
 */

/** The words that may follow `#` on a result line. */
export type DirectiveKind = "SKIP" | "TODO" | "XFAIL" | "TIMEOUT" | "ERROR";

export interface Directive {
  readonly kind: DirectiveKind;
  /** The text after the word; may be empty. */
  readonly reason: string;
}

/** One result line with what belongs to it. */
export interface KtapResult {
  readonly ok: boolean;
  /** The number on the line; undefined when the line has none. */
  readonly number: number | undefined;
  /** The description, without the number, a leading dash and the directive; may be empty. */
  readonly description: string;
  readonly directive: Directive | undefined;
  /** Diagnostic lines before the line, its diagnostic data, a YAML block after it. */
  readonly diagnostics: string[];
  /** The nested subtests whose results came before this line. */
  readonly subtests: KtapLevel | undefined;
}

/** One level of nesting: a plan and the results counted against it. */
export interface KtapLevel {
  /** The version line as written. */
  version: string | undefined;
  /** The number of results announced. */
  plan: number | undefined;
  /** The reason of `1..0 # SKIP reason`. */
  skipAll: string | undefined;
  readonly results: KtapResult[];
  /** Subtests whose parent's result line never came. */
  orphans: KtapLevel | undefined;
  /** Diagnostic lines that no result line followed. */
  readonly trailing: string[];
  /** Faults of single lines: numbering, repeated plans. */
  readonly problems: string[];
}

export interface KtapDocument {
  readonly top: KtapLevel;
  /** The reason of a `Bail out!` line; undefined when there was none. */
  readonly bailOut: string | undefined;
}

/** What a line turned out to be. `depth` is 0 for the outermost level. */
export type KtapEvent =
  | { readonly kind: "result"; readonly result: KtapResult; readonly depth: number }
  | { readonly kind: "version"; readonly text: string }
  | { readonly kind: "plan"; readonly count: number; readonly depth: number }
  | { readonly kind: "diagnostic"; readonly text: string }
  | { readonly kind: "bailOut"; readonly reason: string }
  | { readonly kind: "log"; readonly text: string };

/** Characters of a line that are kept; a program that prints no newline must not fill the memory. */
export const longestLine = 16_384;
/** Diagnostic lines kept for one result; the run's log has them all. */
const mostDiagnostics = 200;
/** Faults of lines noted for one level; the first ones tell what went wrong. */
const mostProblems = 20;
const longestProblem = 200;
/** Levels of nesting; what is further in counts as the innermost. */
const mostLevels = 32;
/** Characters of results and their diagnostics kept in all, where each result counts as some more. */
const mostKept = 64 * 1024 * 1024;
const resultItself = 500;

const versionLine = /^(?:KTAP version \d+|TAP version 1[34])\s*$/;
// The flag s, because a line may hold a carriage return or another character that `.` does not stand for.
const planLine = /^1\.\.(\d{1,9})\s*(?:#\s*(.*))?$/s;
const resultLine = /^(ok|not ok)(?:\s+(\d{1,9})(?=\s|$))?(?:\s+(.*))?$/s;
const bailOutLine = /^bail out!\s*(.*)$/is;
const directiveText = /^(?:(SKIP)\S*|(TODO|XFAIL|TIMEOUT|ERROR)(?![\w-]))[\s:]*(.*)$/is;

interface OpenLevel {
  readonly indent: number;
  readonly level: KtapLevel;
  diagnostics: string[];
  /** A finished nested level that waits for its parent's result line. */
  pending: KtapLevel | undefined;
}

/** Feed it chunks, cut anywhere, then call `end` once. */
export class KtapParser {
  private partial = "";
  private readonly stack: OpenLevel[] = [openLevel(0)];
  private bailOut: string | undefined;
  private kept = 0;
  /** The result that a YAML block would belong to, and whether one is open. */
  private yaml: { result: KtapResult; indent: number; open: boolean } | undefined;

  /** What the lines completed by this chunk are. */
  push(chunk: string): KtapEvent[] {
    const events: KtapEvent[] = [];
    let from = 0;
    for (let to = chunk.indexOf("\n"); to >= 0; to = chunk.indexOf("\n", from)) {
      this.extend(chunk.slice(from, to));
      events.push(this.completeLine());
      from = to + 1;
    }
    this.extend(chunk.slice(from));
    return events;
  }

  /** The end of the output: takes a last line without newline and returns the whole tree. */
  end(): { readonly document: KtapDocument; readonly events: KtapEvent[] } {
    const events = this.partial === "" ? [] : [this.completeLine()];
    while (this.stack.length > 1) this.closeInnermost();
    const top = this.innermost;
    top.level.orphans = top.pending;
    top.level.trailing.push(...top.diagnostics);
    return { document: { top: top.level, bailOut: this.bailOut }, events };
  }

  private extend(text: string): void {
    this.partial = (this.partial + text).slice(0, longestLine);
  }

  private completeLine(): KtapEvent {
    const line = this.partial.replace(/\r$/, "");
    this.partial = "";
    return this.take(line);
  }

  private get innermost(): OpenLevel {
    return this.stack[this.stack.length - 1] as OpenLevel;
  }

  private take(line: string): KtapEvent {
    // After a bail out nothing counts any more (TAP 14, "Bail out!").
    if (this.bailOut !== undefined || this.kept > mostKept) return { kind: "log", text: line };
    const text = line.trimStart();
    const indent = line.length - text.length;
    if (this.takeYaml(text, indent)) return { kind: "diagnostic", text: line };

    if (text.startsWith("#")) return this.takeDiagnostic(text, indent);
    if (versionLine.test(text)) return this.takeVersion(text.trimEnd(), indent);
    const plan = planLine.exec(text);
    if (plan) return this.takePlan(Number(plan[1]), plan[2], indent);
    const result = resultLine.exec(text);
    if (result) return this.takeResult(result, indent);
    const bailOut = bailOutLine.exec(text);
    if (bailOut) {
      this.bailOut = bailOut[1] ?? "";
      return { kind: "bailOut", reason: this.bailOut };
    }
    return { kind: "log", text: line };
  }

  /** A YAML block: `---` to `...`, two columns further in than the result line just before it. */
  private takeYaml(text: string, indent: number): boolean {
    const yaml = this.yaml;
    if (yaml === undefined) return false;
    if (indent < yaml.indent + 2 || (!yaml.open && text !== "---")) {
      this.yaml = undefined;
      return false;
    }
    if (!yaml.open) yaml.open = true;
    else if (text === "..." && indent === yaml.indent + 2) this.yaml = undefined;
    else {
      keep(yaml.result.diagnostics, text);
      this.count(text.length);
    }
    return true;
  }

  private takeDiagnostic(text: string, indent: number): KtapEvent {
    const diagnostic = text.replace(/^#\s?/, "");
    const opensSubtest = diagnostic.startsWith("Subtest:");
    if (opensSubtest && indent > this.innermost.indent) this.levelAt(indent);
    // kselftest's closing summary belongs to no case.
    if (!opensSubtest && !diagnostic.startsWith("Totals:")) {
      const owner = this.stack.findLast((open) => open.indent <= indent) ?? this.innermost;
      keep(owner.diagnostics, diagnostic);
    }
    return { kind: "diagnostic", text: diagnostic };
  }

  private takeVersion(text: string, indent: number): KtapEvent {
    const { level } = this.levelAt(indent);
    if (level.version !== undefined)
      note(level, `a second version line, "${text}": two outputs in one`);
    else if (level.results.length > 0)
      note(level, `the version line "${text}" comes after results`);
    level.version ??= text;
    return { kind: "version", text };
  }

  private takePlan(count: number, comment: string | undefined, indent: number): KtapEvent {
    const { level } = this.levelAt(indent);
    if (level.plan !== undefined) note(level, `a second plan line, 1..${count}`);
    else {
      level.plan = count;
      const skip = directiveText.exec(comment ?? "");
      if (count === 0 && skip?.[1]) level.skipAll = skip[3] ?? "";
    }
    return { kind: "plan", count, depth: this.stack.length - 1 };
  }

  private takeResult(match: RegExpExecArray, indent: number): KtapEvent {
    const open = this.levelAt(indent);
    const number = match[2] === undefined ? undefined : Number(match[2]);
    noteNumbering(open.level, number);
    const { description, directive, data } = splitDescription(match[3] ?? "");
    const result: KtapResult = {
      ok: match[1] === "ok",
      number,
      description,
      directive,
      diagnostics: data === "" ? open.diagnostics : [...open.diagnostics, data],
      subtests: open.pending,
    };
    open.diagnostics = [];
    open.pending = undefined;
    open.level.results.push(result);
    const texts = [result.description, directive?.reason ?? "", ...result.diagnostics];
    this.count(texts.reduce((sum, { length }) => sum + length, resultItself));
    this.yaml = { result, indent, open: false };
    return { kind: "result", result, depth: this.stack.length - 1 };
  }

  /** A suite that reports for ever must not fill the memory: at some point nothing counts any more. */
  private count(characters: number): void {
    const isFull = this.kept > mostKept;
    this.kept += characters;
    if (!isFull && this.kept > mostKept)
      this.stack[0]?.level.problems.unshift(
        "the suite reports more than is kept: what follows its last result here was not read",
      );
  }

  /**
   * The level that a line with this indentation belongs to: closes deeper ones, opens a new one.
   * A result line further in than its surroundings opens a level even without a version line:
   * a failure must not be taken for a log line because its author forgot a header.
   */
  private levelAt(indent: number): OpenLevel {
    while (indent < this.innermost.indent) this.closeInnermost();
    if (indent > this.innermost.indent && this.stack.length < mostLevels)
      this.stack.push(openLevel(indent));
    return this.innermost;
  }

  private closeInnermost(): void {
    const closed = this.stack.pop() as OpenLevel;
    closed.level.orphans = closed.pending;
    closed.level.trailing.push(...closed.diagnostics);
    const parent = this.innermost;
    if (parent.pending) {
      // Two nested blocks before one parent's result line: the first one's parent line is missing.
      note(parent.level, "subtests end without a result line of their own");
      for (const result of closed.level.results) parent.pending.results.push(result);
      for (const problem of closed.level.problems) note(parent.pending, problem);
    } else parent.pending = closed.level;
  }
}

/** A document from its whole text. */
export function parseKtap(text: string): KtapDocument {
  const parser = new KtapParser();
  parser.push(text);
  return parser.end().document;
}

function openLevel(indent: number): OpenLevel {
  const level: KtapLevel = {
    version: undefined,
    plan: undefined,
    skipAll: undefined,
    results: [],
    orphans: undefined,
    trailing: [],
    problems: [],
  };
  return { indent, level, diagnostics: [], pending: undefined };
}

function keep(list: string[], text: string): void {
  list.push(text);
  if (list.length > mostDiagnostics) list.shift();
}

function note(level: KtapLevel, problem: string): void {
  if (level.problems.length < mostProblems) level.problems.push(problem.slice(0, longestProblem));
}

function noteNumbering(level: KtapLevel, number: number | undefined): void {
  const expected = level.results.length + 1;
  if (number === undefined) {
    // TAP makes the number optional, KTAP does not.
    if (!level.version?.startsWith("TAP")) note(level, `result line ${expected} has no number`);
  } else if (level.plan !== undefined && number > level.plan)
    note(level, `result ${number} is beyond the plan 1..${level.plan}`);
  else if (number !== expected && level.problems.length < mostProblems)
    note(
      level,
      level.results.some((result) => result.number === number)
        ? `result ${number} comes a second time`
        : `result ${number} came where ${expected} was expected`,
    );
}

/** Splits what follows a result's number: `[- ]description [# [directive] [diagnostic data]]`. */
function splitDescription(text: string): {
  description: string;
  directive: Directive | undefined;
  data: string;
} {
  const hash = /(?:^|\s)#/.exec(text);
  const before = (hash ? text.slice(0, hash.index) : text).replace(/^-(?:\s+|$)/, "").trim();
  // TAP 14 writes a literal # as \#.
  const description = before.replaceAll("\\#", "#");
  const after = hash ? text.slice(hash.index + hash[0].length).trim() : "";
  const match = directiveText.exec(after);
  if (!match) return { description, directive: undefined, data: after };
  const kind = (match[1] ?? match[2] ?? "").toUpperCase() as DirectiveKind;
  return { description, directive: { kind, reason: match[3] ?? "" }, data: "" };
}
