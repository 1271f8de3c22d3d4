/** The options of every verb that runs suites: which ones, in which order, how often. */
import { randomInt } from "node:crypto";
import { Option, type Command } from "commander";
import * as z from "zod";
import { allow } from "../lab/config/allowed.ts";
import { largestSeed } from "../lab/run/order.ts";
import { mostUntilFail, type Repetitions } from "../lab/run/repeatRun.ts";
import type { Selection } from "../lab/run/selection.ts";

const patterns = (of: string) =>
  allow(
    `${of}; * stands for any text, ? for one character, [a-z] for one of a set`,
    z.array(
      z
        .string()
        .min(1, "is empty")
        .refine((text) => !/[\\\n\0]/.test(text), "holds a backslash or a line break"),
    ),
  ).default([]);

const count = (most: number) =>
  allow(`a whole number from 1 to ${most}`, z.coerce.number().int().min(1).max(most));

/** Keys of a verb's input for what is run. */
export const scopeKeys = {
  suites: patterns("names of suites of the manifest"),
  cases: patterns("names of cases"),
  tags: allow(
    "words of letters, digits, - and _",
    z.array(z.string().regex(/^[\w-]+$/, "is not a tag")),
  ).default([]),
  order: allow("manifest or random", z.enum(["manifest", "random"])).default("manifest"),
  seed: allow(
    `a whole number up to ${largestSeed}`,
    z.coerce.number().int().min(0).max(largestSeed),
  ).optional(),
  jobs: count(16).default(1),
  stopAtFirst: allow("true or false", z.boolean()).default(false),
};

/** Keys of a verb's input for how often it is run. */
export const repeatKeys = {
  repeat: count(10_000).optional(),
  untilFail: allow("true or false", z.boolean()).default(false),
};

/** Keys of a verb's input for what is kept of a guest that crashes or hangs. */
export const evidenceKeys = {
  dumpMemory: allow("true or false", z.boolean()).default(false),
};

const several = (value: string, before: readonly string[] = []): string[] => [...before, value];

/** Adds the options for what is run. */
export function addScopeOptions(command: Command): Command {
  return command
    .option("--suite <pattern>", "suites whose names match, such as 'file-*'; repeatable", several)
    .option("--case <pattern>", "cases whose names match, such as 'struct*'; repeatable", several)
    .option("--tag <name>", "cases that have the tag; repeatable", several)
    .addOption(
      new Option("--order <order>", "of suites, and of cases where a suite supports it").choices([
        ...["manifest", "random"],
      ]),
    )
    .option("--seed <number>", "of a random order; the same seed gives the same order")
    .option("--jobs <number>", "how many suites run at once, each in a guest of its own")
    .option("--stop-at-first", "end the run with the first case that fails");
}

/** Adds the options for how often it is run. */
export function addRepeatOptions(command: Command): Command {
  return command
    .option("--repeat <number>", "run so many times, each in a fresh guest")
    .option("--until-fail", `run until it fails, at most --repeat times (${mostUntilFail})`);
}

/** Adds the options for what is kept of a guest that crashes or hangs. */
export function addEvidenceOptions(command: Command): Command {
  return command.option(
    "--dump-memory",
    "keep the memory of a guest that crashes or hangs, for a debugger",
  );
}

/** What commander makes of these options, under the names of the input's keys. */
export interface ScopeFlags {
  readonly suite?: string[];
  readonly case?: string[];
  readonly tag?: string[];
}

export function scopeOfFlags<Flags extends ScopeFlags>(
  { suite, case: cases, tag, ...rest }: Flags,
  suites: readonly string[] = [],
) {
  const wanted = [...suites, ...(suite ?? [])];
  return { ...rest, cases, tags: tag, ...(wanted.length > 0 && { suites: wanted }) };
}

interface ScopeInput extends Selection {
  readonly order: "manifest" | "random";
  readonly seed?: number | undefined;
  readonly stopAtFirst: boolean;
}

/** A seed is for a random order only: taken for another one it would promise what isn't done. */
export const seedFits = {
  check: ({ order, seed }: Pick<ScopeInput, "order" | "seed">): boolean =>
    seed === undefined || order === "random",
  fault: { path: ["seed"], error: "is only for --order random" },
};

/** Of suites that run side by side none is the first to fail. */
export const stopFits = {
  check: ({ stopAtFirst, jobs }: { stopAtFirst: boolean; jobs: number }): boolean =>
    !stopAtFirst || jobs === 1,
  fault: { path: ["stopAtFirst"], error: "is only for --jobs 1" },
};

/** The scope of a run; a random order without a seed gets one. */
export function scopeOf({ suites, cases, tags, order, seed, stopAtFirst }: ScopeInput): {
  selection?: Selection;
  seed?: number;
  stopAtFirst?: true;
} {
  const selection = { suites, cases, tags };
  return {
    ...([suites, cases, tags].some((each) => each.length > 0) && { selection }),
    ...(order === "random" && { seed: seed ?? randomInt(largestSeed) }),
    ...(stopAtFirst && { stopAtFirst }),
  };
}

export function repetitionsOf(input: {
  readonly repeat?: number | undefined;
  readonly untilFail: boolean;
}): Repetitions {
  const { repeat, untilFail } = input;
  return { most: repeat ?? (untilFail ? mostUntilFail : 1), untilFail };
}
