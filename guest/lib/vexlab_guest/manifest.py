"""Reads vexlab.yaml as far as the guest needs it; `vexlab manifest check` on the host checks it all."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from .failure import Exit, Failure

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Tool:
    name: str
    folder: str
    command: list
    artefacts: list
    # Names of the suites that need it; None for all.
    suites: list


@dataclass(frozen=True)
class Suite:
    name: str
    command: list
    case_timeout: float
    timeout: float
    load: bool


@dataclass(frozen=True)
class Manifest:
    name: str
    module_folder: str
    make: list
    # The dkms.conf, relative to module_folder; None for Kbuild.
    dkms: str
    artefacts: list
    load: list
    parameters: dict
    requires: list
    tools: list
    exclude: list
    suites: list


def read_manifest(source):
    file = Path(source) / "vexlab.yaml"
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Failure(Exit.USAGE, f"{source} has no vexlab.yaml") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise Failure(Exit.USAGE, f"{file}: {error}") from None
    try:
        return parse(document)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise Failure(
            Exit.USAGE, f"{file}: {what}; on the host `vexlab manifest check` names every mistake"
        ) from None


def parse(document):
    module = document["module"]
    load = document.get("load") or {}
    dkms = inside(module["dkms"]) if "dkms" in module else None
    artefacts = module.get("artefacts", []) if dkms else module["artefacts"]
    artefacts = [inside(path) for path in words(artefacts)]
    return Manifest(
        name=name(document["name"]),
        module_folder=inside(module.get("folder", ".")),
        make=words(module.get("make") or []),
        dkms=dkms,
        artefacts=artefacts,
        load=[inside(path) for path in words(load.get("modules") or artefacts)],
        parameters={
            path: {key: parameter(value) for key, value in values.items()}
            for path, values in (load.get("parameters") or {}).items()
        },
        requires=words(load.get("requires") or []),
        tools=[
            Tool(
                name=name(tool["name"]),
                folder=inside(tool.get("folder", ".")),
                command=words(tool["command"]),
                artefacts=[inside(path) for path in words(tool["artefacts"])],
                suites=words(tool["suites"]) if "suites" in tool else None,
            )
            for tool in document.get("tools") or []
        ],
        exclude=words((document.get("sources") or {}).get("exclude") or []),
        suites=[
            Suite(
                name=name(suite["name"]),
                command=words(suite["command"]),
                case_timeout=seconds(suite.get("caseTimeout", "60s")),
                timeout=seconds(suite.get("timeout", "10m")),
                load=suite.get("load", True),
            )
            for suite in document.get("suites") or []
        ],
    )


def name(value):
    # Names become names of folders.
    if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", value):
        raise ValueError(f"{value!r} is not a name")
    return value


def words(value):
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is not a list")
    return [str(word) for word in value]


def inside(path):
    """A path that stays inside the source folder."""
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts:
        raise ValueError(f"{path!r} leaves the source folder")
    return str(PurePosixPath(path))


def parameter(value):
    if isinstance(value, bool):
        return "Y" if value else "N"
    return str(value)


def seconds(value):
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", str(value))
    if match is None:
        raise ValueError(f"{value!r} is not a duration such as 60s")
    return float(match[1]) * UNITS[match[2]]
