"""Loads the module and runs the suites, each within its deadlines."""

import os
import shutil
import subprocess
import time
from pathlib import Path

from . import build, selection
from .failure import Exit, Failure
from .ktap import Counter
from .output import Output, open_log
from .process import Hung, as_root, run_live

TEST_DISK = "/dev/disk/by-id/virtio-vexlab-test"
LOAD_DEADLINE = 60
# Bad page, died (oops or BUG), warned, soft lockup: Documentation/admin-guide/tainted-kernels.rst.
CRASH_TAINTS = 1 << 5 | 1 << 7 | 1 << 9 | 1 << 14


def test(manifest, options):
    suites = selection.chosen(manifest, options)
    with open_log(options.results) as log:
        output = Output(log)
        try:
            return test_into(manifest, options, suites, output)
        except Failure as failure:
            print(f"vexlab-guest: {failure}", file=log)
            raise
        finally:
            print(f"log: {log.name}")


def test_into(manifest, options, suites, output):
    copy = build.fresh_copy(manifest, options.source, options.work)
    built = build.build_module(manifest, copy, output)
    build.build_tools(manifest, copy, output, [suite.name for suite in suites])
    folder = Path(options.work) / "run" / time.strftime(f"%Y%m%d_%H%M%S_{os.getpid()}")
    # A copy for the suites: they run as root and may leave what the user can't remove.
    shutil.copytree(copy, folder, symlinks=True)
    modules = module_order(manifest, folder, built)
    try:
        rows = [run_suite(manifest, modules, suite, folder, output, options) for suite in suites]
    finally:
        as_root(["rm", "-rf", "--one-file-system", str(folder)])
    missed = selection.unmatched(options, [counter for _, counter, _, _ in rows])
    summarise(rows, missed, output)
    codes = {code for _, _, _, code in rows} | ({Exit.FAILED} if missed else set())
    for code in (Exit.CRASHED, Exit.HUNG, Exit.FAILED):
        if code in codes:
            return code
    return Exit.PASSED


def module_order(manifest, folder, built):
    """What is loaded: (the kernel's modules, the built ones), each after those that it needs."""
    needs = {path: dependencies(folder / manifest.module_folder / path) for path in built}
    own = {module_name(path): path for path in built}
    kernels, ordered, visiting = dict.fromkeys(manifest.requires), {}, set()

    def visit(path):
        if path in ordered or path in visiting:
            return
        visiting.add(path)
        for name in needs.get(path, []):
            if module_name(name) in own:
                visit(own[module_name(name)])
            else:
                kernels[name] = None
        ordered[path] = None

    for path in manifest.load or built:
        visit(path)
    return list(kernels), list(ordered)


def dependencies(file):
    """What modpost says that a module needs, by the kernel's names."""
    # A user's PATH doesn't name the folders of root's programs.
    modinfo = shutil.which("modinfo", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    said = subprocess.run(
        [modinfo or "modinfo", "-F", "depends", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        check=False,
    )
    return [name for name in said.stdout.strip().split(",") if name]


def module_name(path):
    name = Path(path).name
    return (name[:-3] if name.endswith(".ko") else name).replace("-", "_")


def load_words(manifest, folder, path):
    parameters = manifest.parameters.get(path, {})
    words = [
        f'{key}="{value}"' if " " in value or value == "" else f"{key}={value}"
        for key, value in parameters.items()
    ]
    return [str(folder / manifest.module_folder / path), *words]


def run_suite(manifest, modules, suite, folder, output, options):
    """One suite: (suite, counter, problems, exit code)."""
    output.line(f"=== {suite.name}")
    counter = Counter(wanted=lambda name, tags: selection.selects(options, name, tags))
    problems = []
    code = Exit.PASSED
    taints = kernel_taints()
    if suite.load:
        load(manifest, modules, folder, output)
    environment = {
        "VEXLAB_SOURCE": str(folder),
        "VEXLAB_TEST_DISK": TEST_DISK,
        "VEXLAB_MODULES": str(folder / manifest.module_folder),
        "VEXLAB_LOAD": "\n".join(
            " ".join(load_words(manifest, folder, path)) for path in modules[1]
        ),
        "KERNELRELEASE": os.uname().release,
        "VEXLAB_CASE_TIMEOUT": max(1, int(suite.case_timeout)),
        **selection.environment(options),
        # Where root finds insmod and mkfs; a user's PATH doesn't name these folders.
        "PATH": os.environ["PATH"] + ":/usr/local/sbin:/usr/sbin:/sbin",
    }
    try:
        status = run_live(
            suite.command,
            cwd=folder,
            environment=environment,
            case_timeout=suite.case_timeout,
            timeout=suite.timeout,
            on_output=lambda line: (output.line(line), counter.take(line))[1],
            on_log=output.line,
        )
        problems = counter.problems(status)
    except Hung as hung:
        problems = [str(hung)]
        code = Exit.HUNG
    except OSError as error:
        problems = [f"can't run {suite.command[0]}: {error}"]
    if suite.load:
        problems += unload(modules, output)
    if kernel_taints() & ~taints & CRASH_TAINTS:
        problems.append("the kernel crashed: see dmesg")
        code = Exit.CRASHED
    if code == Exit.PASSED and (counter.failed or problems):
        code = Exit.FAILED
    return suite, counter, problems, code


def load(manifest, modules, folder, output):
    stale = unload(modules, output)
    if stale:
        raise Failure(Exit.LOAD_FAILED, "an older build is still loaded: " + "; ".join(stale))
    kernels, built = modules
    commands = [["modprobe", "--", name] for name in kernels]
    commands += [["insmod", *load_words(manifest, folder, path)] for path in built]
    for command in commands:
        output.line(f"$ {' '.join(command)}")
        said = as_root(command, LOAD_DEADLINE)
        if said is not None:
            raise Failure(Exit.LOAD_FAILED, f"{' '.join(command[:2])}: {said}")


def unload(modules, output):
    """Unloads the modules that are loaded, last first; one sentence for each that stayed."""
    loaded = {line.split(" ", 1)[0] for line in read_file("/proc/modules").splitlines()}
    problems = []
    for path in reversed(modules[1]):
        name = module_name(path)
        if name not in loaded:
            continue
        output.line(f"$ rmmod {name}")
        said = as_root(["rmmod", name], LOAD_DEADLINE)
        if said is not None:
            problems.append(f"module {name} could not be unloaded: {said}")
    return problems


def kernel_taints():
    return int(read_file("/proc/sys/kernel/tainted") or 0)


def read_file(path):
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def summarise(rows, missed, output):
    output.line("")
    width = max([len(suite.name) for suite, _, _, _ in rows], default=0)
    for suite, counter, problems, code in rows:
        verdict = "passed" if code == Exit.PASSED else code.name.lower()
        others = f", {counter.not_selected} not selected" if counter.not_selected else ""
        output.line(
            f"{suite.name:{width}}  {verdict}: {counter.passed} passed, {counter.failed} failed, "
            f"{counter.skipped} skipped{others}"
        )
        for text in [f"not ok {name}" for name in counter.failures] + problems:
            output.line(f"  {text}")
    for text in missed:
        output.line(text)
    total = [sum(getattr(c, kind) for _, c, _, _ in rows) for kind in ("passed", "failed", "skipped")]
    output.line("total: {} passed, {} failed, {} skipped".format(*total))
