import { readdirSync, readFileSync } from "node:fs";
import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { filesFor, firstWord, nounOf, type VerbFile } from "../../../cli/verbs.ts";

const load: VerbFile = () => Promise.reject(new Error("not to be loaded"));
const files = { imageBuild: load, imageList: load, up: load };
const names = (word: string | undefined): string[] => filesFor(word, files).map(([file]) => file);

describe("the files of a command line", () => {
  it("are those of its noun", () => {
    expect(names("image")).toEqual(["imageBuild", "imageList"]);
    expect(names("up")).toEqual(["up"]);
  });

  it.each([undefined, "nonsense", "main"])("are all verbs for %j", (word) => {
    expect(names(word)).toEqual(Object.keys(files));
  });
});

it("finds the verb behind options", () => {
  expect(firstWord(["--help", "up", "dev"])).toBe("up");
  expect(firstWord(["--version"])).toBeUndefined();
});

it("knows every file that registers verbs", () => {
  const folder = new URL("../../../cli/", import.meta.url);
  const registering = readdirSync(folder)
    .filter((file) =>
      /^export function register\(/m.test(readFileSync(new URL(file, folder), "utf8")),
    )
    .map((file) => file.replace(/\.ts$/, ""));
  expect(filesFor(undefined).map(([file]) => file)).toEqual(registering.sort());
});

it("every verb's file registers a command of its name", async () => {
  const all = filesFor(undefined);
  expect(all.length).toBeGreaterThan(5);
  for (const [file, open] of all) {
    const program = new Command();
    (await open()).register(program);
    expect(
      program.commands.map((command) => command.name()),
      file,
    ).toContain(nounOf(file));
  }
}, 60_000);
