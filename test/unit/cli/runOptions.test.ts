import { Command } from "commander";
import { describe, expect, it } from "vitest";
import * as z from "zod";
import { addScopeOptions, scopeKeys, scopeOf, stopFits } from "../../../cli/runOptions.ts";

const schema = z.strictObject(scopeKeys).refine(stopFits.check, stopFits.fault);
const parse = (...words: string[]) => {
  const command = addScopeOptions(new Command());
  command.parse(words, { from: "user" });
  return schema.safeParse(command.opts());
};

describe("--stop-at-first", () => {
  it("is part of what is run, when it is given", () => {
    const { data } = parse("--stop-at-first");
    expect(data && scopeOf(data)).toEqual({ stopAtFirst: true });
    const without = parse();
    expect(without.data && scopeOf(without.data)).toEqual({});
  });

  it("is refused for suites side by side", () => {
    const { error } = parse("--stop-at-first", "--jobs", "2");
    expect(error?.issues).toMatchObject([
      { path: ["stopAtFirst"], message: "is only for --jobs 1" },
    ]);
  });
});
