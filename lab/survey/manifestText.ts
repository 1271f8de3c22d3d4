/** A commented `vexlab.yaml` for what a survey found. */
import { stringify } from "yaml";
import { listed } from "./dkmsSurvey.ts";
import type { FoundSuite } from "./suiteSurvey.ts";
import type { Survey } from "./survey.ts";

/** The suite that a tree gets which has none. */
export const firstSuite: FoundSuite = { name: "loads", command: ["tests/vexlab-loads.sh"] };

/** The manifest's text; it holds everything that was found, and says of the rest where it would go. */
export function manifestText(survey: Survey): string {
  const suites = survey.suites.length > 0 ? survey.suites : [firstSuite];
  return [
    "# Written by `vexlab init`, from what it found here. Yours to change: docs/manifest.md of vexlab has",
    "# every key, `vexlab manifest check` names mistakes.",
    `name: ${scalar(survey.name)}`,
    "",
    ...modulePart(survey),
    "",
    ...loadPart(survey),
    ...filesystemPart(survey),
    ...toolsPart(survey),
    ...sourcesPart(survey),
    "",
    "# Programs that print KTAP, run as root in the guest with the modules loaded.",
    "suites:",
    ...suites.flatMap(({ name, command }) => [
      `  - name: ${scalar(name)}`,
      `    command: ${flow(command)}`,
    ]),
    "",
  ].join("\n");
}

function modulePart({ folder, dkms, make, modules }: Survey): string[] {
  const where = folder === "." ? [] : [`  folder: ${scalar(folder)}`];
  if (dkms !== undefined)
    return [
      "module:",
      ...where,
      "  # It says for each kernel how to build, what is made and which patches are applied; kernels that",
      "  # it is not for are build-failed.",
      `  dkms: ${scalar(dkms)}`,
      ...comment(`It makes ${listed(modules)}.`),
    ];
  return [
    "# Built by Kbuild: make -C /lib/modules/<release>/build M=<folder> modules",
    "module:",
    ...where,
    ...(make.length > 0 ? [`  make: ${flow(make)}`] : []),
    `  artefacts: ${flow(modules)}`,
  ];
}

function loadPart({ modules, parameters }: Survey): string[] {
  const [file = "my-module.ko"] = modules;
  const [parameter = "debug"] = parameters;
  const known =
    parameters.length > 0 ? comment(`Parameters in the sources: ${listed(parameters)}.`) : [];
  return [
    "# The modules are loaded in the order in which they need each other, and modules of the kernel that",
    "# they need before them; both are known after the build.",
    ...known.map((line) => line.trimStart()),
    "# load:",
    `#   parameters: { ${scalar(file)}: { ${parameter}: 1 } }`,
  ];
}

function filesystemPart({ filesystem }: Survey): string[] {
  if (filesystem === undefined) return [];
  return [
    "",
    "filesystem:",
    `  type: ${scalar(filesystem)}`,
    `  # mkfs: [mkfs.${filesystem}, "{device}"]`,
  ];
}

function toolsPart({ tools }: Survey): string[] {
  if (tools.length === 0) return [];
  const each = tools.map(({ name, folder, programs }) => [
    `  - name: ${scalar(name.toLowerCase())}`,
    ...(folder === "." ? [] : [`    folder: ${scalar(folder)}`]),
    "    command: [cargo, build, --release, --offline]",
    `    artefacts: ${flow(programs)}`,
  ]);
  return ["", "tools:", ...each.flat()];
}

function sourcesPart({ leftOut = [] }: Survey): string[] {
  if (leftOut.length === 0) return [];
  // In gitignore's language: from the root on, and no character is a pattern.
  const patterns = leftOut.map((path) => `/${path.replace(/[\\*?[\]!# ]/g, "\\$&")}`);
  return ["", "sources:", "  # Links that leave this folder.", `  exclude: ${flow(patterns)}`];
}

/** Lines of a comment below a key of the module. */
function comment(text: string): string[] {
  const lines: string[] = [];
  let line = "  #";
  for (const word of text.split(/\s+/)) {
    if (line.length + word.length > 99) {
      lines.push(line);
      line = "  #";
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

const scalar = (text: string): string => stringify(text, { lineWidth: 0 }).trimEnd();
const flow = (words: readonly string[]): string =>
  stringify(words, {
    collectionStyle: "flow",
    lineWidth: 0,
    flowCollectionPadding: false,
  }).trimEnd();
