/** A no-op `up` and a preview, against those of a program that declares nothing. */
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expectExit, type Ended } from "../test/e2e/support/checkout.ts";
import type { Finding } from "./finding.ts";
import { rounds, say, stack, type Lab } from "./lab.ts";

const turns = rounds(5);
const limit = 1.5;
const up = ["up", "--yes", "--skip-preview", "--stack"];

export async function engine(lab: Lab): Promise<Finding[]> {
  await lab.up();
  const { checkout } = lab;
  // Rows before may have left edits behind or reset the guest: from here on nothing is to do.
  expectExit(await checkout.pulumi([...up, stack]), 0);
  say(`no-op up and preview, ${turns} rounds`);
  const empty = await emptyProgram(lab);
  const inEmpty = (...words: string[]): Promise<Ended> =>
    checkout.pulumi(["--cwd", empty, ...words]);
  expectExit(await inEmpty("stack", "init", "empty"), 0);
  expectExit(await inEmpty(...up, "empty"), 0);

  const times = { up: [], emptyUp: [], preview: [], emptyPreview: [] } as Record<
    "up" | "emptyUp" | "preview" | "emptyPreview",
    number[]
  >;
  const record = async (name: keyof typeof times, run: () => Promise<Ended>): Promise<void> => {
    lab.signal.throwIfAborted();
    times[name].push(expectExit(await run(), 0).seconds);
  };
  for (let round = 0; round < turns; round++) {
    await record("up", () => checkout.pulumi([...up, stack]));
    await record("emptyUp", () => inEmpty(...up, "empty"));
    await record("preview", () => checkout.pulumi(["preview", "--stack", stack]));
    await record("emptyPreview", () => inEmpty("preview", "--stack", "empty"));
  }
  const compared = (what: string, ours: number[], theirs: number[]): Finding => {
    return { what: `${what} / empty program`, unit: "s", ours, theirs, goal: limit };
  };
  return [
    compared("no-op up", times.up, times.emptyUp),
    compared("no-op preview", times.preview, times.emptyPreview),
  ];
}

/** @returns its folder */
async function emptyProgram({ checkout }: Lab): Promise<string> {
  const empty = checkout.path("empty");
  await mkdir(empty);
  const project = await checkout.read("Pulumi.yaml");
  await writeFile(
    join(empty, "Pulumi.yaml"),
    project
      .replace(/^name: .*/m, "name: empty")
      .replace("./toolchain/programPreload.js", "tsx/esm")
      .replace(/^packages:[^]*/m, ""),
  );
  await writeFile(join(empty, "package.json"), '{ "type": "module" }\n');
  await writeFile(join(empty, "index.ts"), "export {};\n");
  await symlink(checkout.path("node_modules"), join(empty, "node_modules"));
  return empty;
}
