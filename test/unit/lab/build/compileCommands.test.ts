import { mkdir, mkdtemp, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import {
  kbuildCommandsFile,
  onHost,
  parseKbuildCommand,
  readKbuildCommands,
  updateCompileCommands,
} from "../../../../lab/build/compileCommands.ts";

// Real files; their lists of headers are cut.
const fixture = (name: string): Promise<string> =>
  readFile(new URL(`../../../fixtures/kbuild/${name}`, import.meta.url), "utf8");

/** As Kbuild writes it: a shell's words, escaped for make. */
const cmdFile = (target: string, source: string, words: readonly string[], after = ""): string => {
  const shell = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  const escaped = shell.replaceAll("$", "$$$$").replaceAll("#", "$(pound)");
  return `savedcmd_${target} := ${escaped} ${after}\n\nsource_${target} := ${source}\n`;
};

describe("a .cmd file of Kbuild", () => {
  it.each(["6.1", "6.12"])("of Linux %s tells how the object was compiled", async (version) => {
    const command = parseKbuildCommand(await fixture(`linux-${version}-a.o.cmd`));
    expect(command).toMatchObject({
      target: "/mnt/vexlab-build/a.o",
      source: "/mnt/vexlab-build/a.c",
    });
    expect(command?.arguments).toEqual(
      expect.arrayContaining([
        ...["-nostdinc", "-I./include", '-DNAME="a b"', "-DHASH='#'", '-DDOLLAR="$x"'],
        ...["-I/mnt/vexlab-build", '-DKBUILD_BASENAME="a"'],
      ]),
    );
    // Without objtool, which 6.1 runs after the compiler.
    expect(command?.arguments.slice(-4)).toEqual([
      ...["-c", "-o", "/mnt/vexlab-build/a.o", "/mnt/vexlab-build/a.c"],
    ]);
  });

  it.each(["6.1-hello.o.cmd", "6.1-hello.mod.cmd", "6.12-hello.o.cmd", "6.12-hello.mod.cmd"])(
    "that compiled nothing tells nothing: %s",
    async (name) => {
      expect(parseKbuildCommand(await fixture(`linux-${name}`))).toBeUndefined();
    },
  );

  it("gives back every word that the compiler got", () => {
    const special = [
      "$",
      "#",
      "$(pound)",
      "\\#",
      "\\",
      "'",
      '"',
      " ",
      "*",
      ";",
      "&&",
      "{x}",
      "-I/a",
    ];
    const unit = fc.oneof(fc.constantFrom(...special), fc.stringMatching(/^[ -~]$/));
    const word = fc.array(unit).map((parts) => parts.join(""));
    fc.assert(
      fc.property(fc.array(word), fc.constantFrom("", "; objtool x"), (words, after) => {
        const all = ["gcc", ...words, "a.c"];
        const text = cmdFile("a.o", "a.c", all, after);
        expect(parseKbuildCommand(text)?.arguments).toEqual(all);
      }),
    );
  });

  it("is never an error, whatever is in it", () => {
    const line = fc.oneof(
      fc.string(),
      fc.constantFrom("savedcmd_a.o := gcc a.c", "source_a.o := a.c", "cmd_a.o := 'gcc"),
    );
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        parseKbuildCommand(lines.join("\n"));
      }),
    );
  });
});

describe("a command on the host", () => {
  const folders = { source: "/home/me/vexfs", sysroot: "/images/a/sysroot" };
  const words = (...given: string[]): string[] =>
    onHost(
      { directory: "/usr/src/headers", file: "/mnt/vexlab-build/a.c", arguments: given },
      folders,
    ).arguments;

  it("has the user's sources and the sysroot's headers", () => {
    expect(
      words(
        ...["gcc", "-I/usr/src/common/include", "-I./include", "-I", "/usr/include"],
        ...["-include", "/usr/src/common/kconfig.h", "-I/mnt/vexlab-build/kernel"],
        ...["-isystem/opt", "/mnt/vexlab-build/kernel/a.c", "-I/mnt/vexlab-build"],
      ),
    ).toEqual([
      ...["gcc", "-I/images/a/sysroot/usr/src/common/include", "-I./include"],
      ...["-I", "/images/a/sysroot/usr/include"],
      ...["-include", "/images/a/sysroot/usr/src/common/kconfig.h", "-I/home/me/vexfs/kernel"],
      ...["-isystem/images/a/sysroot/opt", "/home/me/vexfs/kernel/a.c", "-I/home/me/vexfs"],
    ]);
  });

  it("does not take another folder for the tree, or text for a path", () => {
    expect(words("/usr/bin/gcc", "-I/mnt/vexlab-builds", '-DX="/mnt/vexlab-build"')).toEqual([
      ...["/usr/bin/gcc", "-I/images/a/sysroot/mnt/vexlab-builds", '-DX="/mnt/vexlab-build"'],
    ]);
  });

  it("writes nothing and loads nothing", () => {
    expect(
      words(
        ...["gcc", "-Wp,-MMD,/mnt/vexlab-build/.a.o.d", "-MD", "-MF", "x.d", "-c"],
        ...["-fplugin=./latent_entropy.so", "-fplugin-arg-x-y", "-o", "a.o", "-Wall", "-mno-sse"],
      ),
    ).toEqual(["gcc", "-c", "-Wall", "-mno-sse"]);
  });
});

describe("compile_commands.json", () => {
  let folder = "";
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "commands-"));
    await put("sysroot/lib/modules/6.1.0/x", "");
    await symlink("/usr/src/headers", join(folder, "sysroot/lib/modules/6.1.0/build"));
    return () => rm(folder, { recursive: true });
  });
  async function put(path: string, text: string): Promise<void> {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  const read = () =>
    readKbuildCommands(join(folder, "tree"), "kernel", join(folder, "sysroot"), "6.1.0");

  it("is made of what Kbuild left beside the objects", async () => {
    const kernel = "/mnt/vexlab-build/kernel";
    const a = [`${kernel}/sub/a.o`, `${kernel}/sub/a.c`] as const;
    await put("tree/kernel/sub/.a.o.cmd", cmdFile(...a, ["gcc", a[1]]));
    // Since Linux 6.13.
    await put("tree/kernel/.b.o.cmd", cmdFile("b.o", "b.c", ["gcc", "b.c"]));
    await put("tree/kernel/.c.ko.cmd", cmdFile("c.ko", "c.o", ["ld", "c.o"]));
    await put("tree/tools/.d.o.cmd", cmdFile("d.o", "d.c", ["gcc", "d.c"]));
    expect(await read()).toEqual([
      { directory: kernel, file: `${kernel}/b.c`, arguments: ["gcc", "b.c"] },
      { directory: "/usr/src/headers", file: a[1], arguments: ["gcc", a[1]] },
    ]);
  });

  it("has the user's own files only, and is written anew only when it changes", async () => {
    const entry = (name: string): unknown => ({
      directory: "/usr/src/headers",
      file: `/mnt/vexlab-build/${name}`,
      arguments: ["gcc", `/mnt/vexlab-build/${name}`],
    });
    const result = join(folder, "builds/0123");
    await put("builds/0123/result.json", "");
    const update = (): Promise<string | undefined> =>
      updateCompileCommands(result, new Set(["a.c"]), { source: "/me", sysroot: "/sys" });
    expect(await update()).toBeUndefined();

    await writeFile(kbuildCommandsFile(result), JSON.stringify([entry("a.c"), entry("a.mod.c")]));
    const file = (await update()) ?? "";
    expect(file).toBe(join(folder, "builds/compile_commands.json"));
    expect(JSON.parse(await readFile(file, "utf8"))).toEqual([
      { directory: "/sys/usr/src/headers", file: "/me/a.c", arguments: ["gcc", "/me/a.c"] },
    ]);
    await utimes(file, 1, 1);
    await update();
    expect((await stat(file)).mtimeMs).toBe(1000);
    await writeFile(file, "[]");
    await update();
    expect(await readFile(file, "utf8")).toContain("/me/a.c");
  });
});
