/**
 * What a suite says about its cases in diagnostic lines of a fixed form (docs/manifest.md): tags,
 * measures, which case begins, how many were selected. Everything else is for people. Pure.
 */

/** A number with its unit. */
export interface Measure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

export interface Attributes {
  /** `# RUN name`, as the kernel's test harness announces a case. */
  readonly announced: string | undefined;
  /** `# tags: slow io` */
  readonly tags: readonly string[];
  /** `# measure: throughput=12.3 MB/s` */
  readonly measures: readonly Measure[];
  /** `# selected: 3 of 20` */
  readonly selected: { readonly count: number; readonly of: number } | undefined;
  /** The lines that are none of these. */
  readonly rest: readonly string[];
}

// tools/testing/selftests/kselftest_harness.h prints "#  RUN           name ...".
// The lines are trimmed before: expressions that look for an end of spaces take a line's length squared.
const announcedLine = /^RUN\s+(\S.*)$/;
const tagsLine = /^tags:\s+(\S.*)$/;
const measureLine = /^measure:\s+([A-Za-z][\w.-]*)=([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\s+(\S.*)$/;
const selectedLine = /^selected:\s+(\d{1,9}) of (\d{1,9})$/;

/** Takes a case's diagnostic lines apart. */
export function attributesOf(diagnostics: readonly string[]): Attributes {
  let announced: string | undefined;
  let selected: Attributes["selected"];
  const tags: string[] = [];
  const measures: Measure[] = [];
  const rest: string[] = [];
  for (const line of diagnostics) {
    const text = line.trimEnd();
    const measure = measureLine.exec(text);
    const chosen = selectedLine.exec(text);
    const tagged = tagsLine.exec(text)?.[1];
    const begun = announcedLine.exec(text.trimStart())?.[1];
    if (measure && Number.isFinite(Number(measure[2])))
      measures.push({
        name: measure[1] ?? "",
        value: Number(measure[2]),
        unit: measure[3] ?? "",
      });
    else if (chosen) selected = { count: Number(chosen[1]), of: Number(chosen[2]) };
    else if (tagged !== undefined) for (const tag of tagged.split(/\s+/)) tags.push(tag);
    else if (begun !== undefined) announced = begun.replace(/\.\.\.$/, "").trimEnd() || begun;
    else rest.push(line);
  }
  return { announced, tags: [...new Set(tags)], measures, selected, rest };
}
