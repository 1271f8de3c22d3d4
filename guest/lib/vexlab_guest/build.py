"""Builds the module and its tools in a fresh copy of the source."""

import fnmatch
import os
import shutil
import subprocess
from pathlib import Path

from .failure import Exit, Failure
from .manifest import inside

# What a build on the host may have left in the shared folder: it is made for the host.
NEVER_SOURCES = [
    ".git/", ".vexlab/", "test_results/", "*.o", "*.ko", "*.mod", "*.mod.c", ".*.cmd", "*.o.d",
    "Module.symvers", "modules.order", ".tmp_*",
]  # fmt: skip


def fresh_copy(manifest, source, work):
    """Copies the sources to <work>/build/<name>, made anew; returns that folder."""
    copy = Path(work) / "build" / manifest.name
    try:
        if copy.exists():
            shutil.rmtree(copy)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(
            source, copy, symlinks=True, ignore=ignoring(source, NEVER_SOURCES + manifest.exclude)
        )
    except (OSError, shutil.Error) as error:
        raise Failure(Exit.INFRASTRUCTURE, f"can't copy {source} to {copy}: {error}") from None
    return copy


def ignoring(root, patterns):
    """For shutil.copytree: the names of a folder that match patterns in gitignore's notation.

    Without `!`: a file too many in the copy does no harm.
    """

    def ignored(folder, names):
        return {
            entry
            for entry in names
            if any(
                matches(pattern, os.path.relpath(os.path.join(folder, entry), root))
                and (not pattern.endswith("/") or os.path.isdir(os.path.join(folder, entry)))
                for pattern in patterns
            )
        }

    return ignored


def matches(pattern, path):
    body = pattern.rstrip("/")
    if "/" in body:
        body = body.lstrip("/")
        if body.startswith("**/"):
            return matches(body[3:], path) or fnmatch.fnmatchcase(path, body)
        return fnmatch.fnmatchcase(path, body)
    return fnmatch.fnmatchcase(os.path.basename(path), body)


def build_module(manifest, copy, output):
    """Builds for the running kernel, prints the modules that were made and returns them.

    They are relative to the module's folder.
    """
    release = os.uname().release
    headers = f"/lib/modules/{release}/build"
    folder = copy / manifest.module_folder
    jobs = len(os.sched_getaffinity(0))
    what = f"module {manifest.name}"
    if manifest.dkms is None:
        command = ["make", f"-j{jobs}", "-C", headers, f"M={folder}", *manifest.make, "modules"]
        build(what, command, copy, folder, manifest.artefacts, output)
        return manifest.artefacts
    script = str(Path(__file__).with_name("dkms.sh"))
    command = ["bash", script, "build", manifest.dkms, release, headers, str(jobs)]
    build(what, command, folder, folder, manifest.artefacts, output)
    modules = manifest.artefacts or dkms_modules(folder)
    check(what, folder, modules, output)
    return modules


def dkms_modules(folder):
    """The modules that dkms.sh says it was to make."""
    entries = (folder / ".vexlab-dkms").read_text(encoding="utf-8").split("\0")
    modules = (entry.partition("=")[2] for entry in entries if entry.startswith("module="))
    return [inside(path) for path in dict.fromkeys(modules)]


def build_tools(manifest, copy, output, suites=None):
    """Builds the tools that one of these suites needs; all of them by default."""
    for tool in manifest.tools:
        if suites is not None and tool.suites is not None and not set(tool.suites) & set(suites):
            continue
        folder = copy / tool.folder
        build(f"tool {tool.name}", tool.command, folder, folder, tool.artefacts, output)
    if not manifest.tools:
        output.line(f"{manifest.name} has no tools")


def build(what, command, cwd, folder, artefacts, output):
    output.line(f"$ {' '.join(command)}")
    try:
        with subprocess.Popen(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process:
            for line in process.stdout:
                output.line(line.rstrip("\n"))
    except OSError as error:
        raise Failure(Exit.BUILD_FAILED, f"{what}: can't run {command[0]}: {error}") from None
    if process.returncode != 0:
        raise Failure(
            Exit.BUILD_FAILED, f"{what}: {command[0]} ended with status {process.returncode}"
        )
    check(what, folder, artefacts, output)


def check(what, folder, artefacts, output):
    for artefact in artefacts:
        if not (folder / artefact).is_file():
            raise Failure(Exit.BUILD_FAILED, f"{what}: the build did not make {folder / artefact}")
        output.line(f"made {folder / artefact}")
