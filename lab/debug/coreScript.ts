/**
 * The gdb commands that open a dump of a guest's memory with the symbols of its kernel and of the
 * modules under test, wherever those lay. Pure.
 */
import { buildMount } from "../build/steps.ts";

export interface CoreFiles {
  /** Names and addresses of the kernel, see symbolFile.ts. */
  readonly kernel: string;
  readonly core: string;
  /** The built tree. */
  readonly tree: string;
  /** With debug information, by the names that the kernel knows them by. */
  readonly modules: ReadonlyMap<string, string>;
}

/** A string of Python, which takes JSON's. */
const quoted = (text: string): string => JSON.stringify(text);

/*
 * The kernel's list of modules tells where the code of each begins; what its members are called is in
 * the modules' own debug information (include/linux/module.h: core_layout until 6.3, then mem[]).
 */
const loadModules = `\
import atexit, gdb, os, struct, tempfile

def loaded():
    kind = gdb.lookup_type("struct module")
    offset = next(f.bitpos // 8 for f in kind.fields() if f.name == "list")
    pointer = gdb.lookup_type("unsigned long").pointer()
    follow = lambda at: int(gdb.Value(at).cast(pointer).dereference())
    head = int(gdb.parse_and_eval("(unsigned long) &modules"))
    at = follow(head)
    for _ in range(1000):
        if at == head:
            return
        yield gdb.Value(at - offset).cast(kind.pointer()).dereference()
        at = follow(at)

def code_of(module):
    names = [f.name for f in module.type.fields()]
    return int(module["core_layout"]["base"] if "core_layout" in names else module["mem"][0]["base"])

# gdb gives all sections of a file that is not linked one address for their lines: so they get theirs in
# a copy. Code is laid out as layout_sections() of the kernel does; the others lie where nothing is.
def placed(file, end):
    with open(file, "rb") as original:
        elf = bytearray(original.read())
    at, = struct.unpack_from("<Q", elf, 0x28)
    size, count, names = struct.unpack_from("<HHH", elf, 0x3a)
    heads = [struct.unpack_from("<IIQQQQIIQQ", elf, at + n * size) for n in range(count)]
    elsewhere = 0
    for n, (name, _, flags, _, _, length, _, _, align, _) in enumerate(heads):
        if not flags & 2:
            continue
        address = elsewhere = elsewhere + (1 << 32)
        if flags & 4 and not elf.startswith(b".init", heads[names][4] + name):
            address = -(-end // max(align, 1)) * max(align, 1)
            end = address + length
        struct.pack_into("<Q", elf, at + n * size + 16, address)
    copy = tempfile.NamedTemporaryFile(prefix="vexlab-", suffix=".ko", delete=False)
    with copy:
        copy.write(elf)
    atexit.register(os.unlink, copy.name)
    return copy.name

found = {}
for file in files.values():
    try:
        gdb.execute("add-symbol-file " + file, to_string=True)
        found = {m["name"].string(): code_of(m) for m in loaded()}
    except gdb.error as error:
        print("vexlab: %s: %s" % (file, error))
    gdb.execute("remove-symbol-file " + file, to_string=True)
    if found:
        break
for name, file in files.items():
    if name in found:
        gdb.execute("add-symbol-file %s -o 0" % placed(file, found[name]), to_string=True)
        print("vexlab: module %s at %#x" % (name, found[name]))
    else:
        print("vexlab: module %s was not loaded" % name)

class KernelStack(gdb.Command):
    """Addresses of code on the current processor's stack, the innermost first."""

    def __init__(self):
        super().__init__("kernel-stack", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        word = gdb.lookup_type("unsigned long")
        at = int(gdb.parse_and_eval("(unsigned long) $rsp"))
        end = (at | 0x3fff) + 1
        while at < end:
            try:
                value = int(gdb.Value(at).cast(word.pointer()).dereference())
            except gdb.MemoryError:
                return
            at += 8
            name = gdb.execute("info symbol %#x" % value, to_string=True)
            if value >> 31 != 0x1ffffffff or " in section .text" not in name:
                continue
            line = gdb.find_pc_line(value - 1)
            source = " %s:%d" % (line.symtab.fullname(), line.line) if line.symtab else ""
            print("%#x %s%s" % (value, name.split(" in section")[0], source))

KernelStack()
`;

/** @throws RangeError for paths that gdb's words can't hold */
export function coreScript({ kernel, core, tree, modules }: CoreFiles): string {
  for (const path of [kernel, core, tree, ...modules.values()])
    if (/[\s"'\\]/.test(path)) throw new RangeError(`gdb takes no path with a blank: ${path}`);
  const entries = [...modules].map(([name, file]) => `${quoted(name)}: ${quoted(file)}`);
  return [
    ...["set confirm off", "set pagination off", "set architecture i386:x86-64"],
    ...(modules.size > 0 ? [`set substitute-path ${buildMount} ${tree}`] : []),
    ...[`symbol-file ${kernel}`, `core-file ${core}`],
    ...["python", `files = {${entries.join(", ")}}`, loadModules.trimEnd(), "end"],
    "",
  ].join("\n");
}
