import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { firstWord, modulesFor, nounOf } from "../../../cli/verbs.ts";

const files = ["main.ts", "imageBuild.ts", "imageList.ts", "up.ts", "README.md"];

describe("the files of a command line", () => {
  it("are those of its noun", () => {
    expect(modulesFor("image", files)).toEqual(["./imageBuild.ts", "./imageList.ts"]);
    expect(modulesFor("up", files)).toEqual(["./up.ts"]);
  });

  it.each([undefined, "nonsense", "main"])("are all verbs for %j", (word) => {
    expect(modulesFor(word, files)).toEqual(["./imageBuild.ts", "./imageList.ts", "./up.ts"]);
  });
});

it("finds the verb behind options", () => {
  expect(firstWord(["--help", "up", "dev"])).toBe("up");
  expect(firstWord(["--version"])).toBeUndefined();
});

it("every verb's file registers a command of its name", async () => {
  const modules = modulesFor(undefined);
  expect(modules.length).toBeGreaterThan(5);
  for (const module of modules) {
    const program = new Command();
    const verb = (await import(new URL(`../../../cli/${module}`, import.meta.url).href)) as {
      register(program: Command): void;
    };
    verb.register(program);
    const names = program.commands.map((command) => command.name());
    expect(names, module).toContain(nounOf(module.slice(2)));
  }
}, 60_000);
