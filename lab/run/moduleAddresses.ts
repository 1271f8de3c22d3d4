/**
 * Names for addresses of modules that are not loaded any more: the kernel can't tell them then, as in a
 * report of kmemleak after a suite that has unloaded the module. So the guest notes where the modules
 * under test lie, each time they are loaded.
 */
import { readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { elfSection, elfSymbols } from "../build/elf.ts";
import type { Guest } from "./guest.ts";
import type { RunPlan } from "./plan.ts";

const folder = "/run/vexlab/noted";
/** Holds `MODULE SECTION ADDRESS` lines. */
export const notesFile = `${folder}/addresses`;
/** The suites' PATH: insmod and modprobe are found here first. */
export const notedPath = `${folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;

const programs = ["insmod", "modprobe"];
const smallMs = 30_000;

// Does what it is called by, then notes where the modules lie ($1…: their names).
const script = `
mkdir -p ${folder}
cat >${folder}/noting <<END
#!/bin/sh
code=0
/sbin/\\\${0##*/} "\\$@" || code=\\$?
for module in $*; do
  for section in /sys/module/\\$module/sections/.*text*; do
    [ -e "\\$section" ] || continue
    read -r address <"\\$section" && echo "\\$module \\\${section##*/} \\$address"
  done
done >>${notesFile}
exit \\$code
END
chmod 755 ${folder}/noting
for program in ${programs.join(" ")}; do ln -sf noting ${folder}/$program; done
: >${notesFile}`;

/** Has the guest note where the plan's modules are loaded, from now on. @throws GuestError */
export async function noteModuleAddresses(
  guest: Guest,
  plan: RunPlan,
  patience = 1,
): Promise<void> {
  const names = plan.modules.map(({ name }) => name);
  await guest.run(["sudo", "-n", "sh", "-c", script, "sh", ...names], {
    deadlineMs: smallMs * patience,
  });
}

/** A section of a module's code: where it was loaded, and what is in it. */
export interface LoadedCode {
  readonly module: string;
  readonly address: bigint;
  readonly bytes: number;
  readonly symbols: readonly { readonly name: string; readonly value: number }[];
}

/** What was noted, with the symbols of the very files that were loaded. */
export async function loadedCode(notes: string, plan: RunPlan): Promise<LoadedCode[]> {
  const lines = [...new Set(notes.split("\n"))].map((line) => line.split(" "));
  const found: LoadedCode[] = [];
  for (const { name, file } of plan.modules) {
    const own = lines.filter(([module]) => module === name);
    if (own.length === 0) continue;
    const local = join(plan.localFolder, relative(plan.remoteFolder, file));
    const content = await readFile(local).catch(() => undefined);
    if (content === undefined) continue;
    const symbols = elfSymbols(content);
    for (const [, section = "", address = ""] of own)
      if (/^0x[0-9a-f]+$/.test(address))
        found.push({
          module: name,
          address: BigInt(address),
          bytes: elfSection(content, section)?.length ?? 0,
          symbols: symbols.filter((symbol) => symbol.section === section),
        });
  }
  return found;
}

/** A text with `function+0x1/0x2 [module]` for the addresses in it that lie in the code. Pure. */
export function withNames(text: string, code: readonly LoadedCode[]): string {
  return text.replace(/\b0x[0-9a-f]{16}$/gm, (word) => {
    const address = BigInt(word);
    // What was loaded last, where several lay in one place.
    const part = code.findLast(
      (each) => address >= each.address && address < each.address + BigInt(each.bytes),
    );
    if (part === undefined) return word;
    const at = Number(address - part.address);
    const sorted = part.symbols.toSorted((a, b) => a.value - b.value);
    const symbol = sorted.findLast(({ value }) => value <= at);
    if (symbol === undefined) return word;
    const end = sorted.find(({ value }) => value > symbol.value)?.value ?? part.bytes;
    const [offset, size] = [at - symbol.value, end - symbol.value].map((n) => n.toString(16));
    return `${symbol.name}+0x${offset ?? ""}/0x${size ?? ""} [${part.module}]`;
  });
}
