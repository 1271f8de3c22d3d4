"""Counts the results of one suite's KTAP (the kernel's Documentation/dev-tools/ktap.rst).

Only the outermost level counts: a subtest's results are summed up in its parent's.
"""

import re
from dataclasses import dataclass, field
from typing import Callable

RESULT = re.compile(r"^(ok|not ok)(?:\s+(\d+)(?=\s|$))?(?:\s+(.*))?$")
PLAN = re.compile(r"^1\.\.(\d+)\s*(?:#.*)?$")
DIRECTIVE = re.compile(r"(?:^|\s)#\s*(SKIP|TODO|XFAIL|TIMEOUT|ERROR)\b", re.IGNORECASE)

TAGS = re.compile(r"^#\s?tags:\s+(\S.*)$")
SELECTED = re.compile(r"^#\s?selected: (\d+) of (\d+)\s*$")


@dataclass
class Counter:
    """`wanted` says of a case's name and tags whether it counts."""

    wanted: Callable = lambda name, tags: True
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    plan: int = None
    bail_out: str = None
    failures: list = field(default_factory=list)
    # Names and tags of the cases that count.
    cases: list = field(default_factory=list)
    # Cases that don't count: reported by the suite, and left out by it.
    ignored: int = 0
    ignored_failures: int = 0
    left_out: int = 0
    tags: list = field(default_factory=list)

    def take(self, line):
        """Counts a line of standard output; True when it was a result, at any level."""
        text = line.strip()
        result = RESULT.match(text)
        if line[:1].isspace():
            return result is not None
        plan = PLAN.match(text)
        if plan:
            self.plan = int(plan[1])
        elif text.startswith("#"):
            self.take_attribute(text)
        elif text.lower().startswith("bail out!"):
            self.bail_out = text[len("bail out!") :].strip() or "no reason given"
        elif result:
            self.count(result[1] == "ok", result[3] or "")
        return result is not None

    def take_attribute(self, text):
        tags = TAGS.match(text)
        selected = SELECTED.match(text)
        if tags:
            self.tags += tags[1].split()
        elif selected:
            self.left_out = int(selected[2]) - int(selected[1])

    def count(self, passed, text):
        directive = DIRECTIVE.search(text)
        word = directive[1].upper() if directive else None
        name = re.sub(r"^-\s*", "", re.split(r"(?:^|\s)#", text)[0]).strip()
        tags, self.tags = self.tags, []
        failed = not passed and word not in ("SKIP", "TODO", "XFAIL") or word in ("TIMEOUT", "ERROR")
        if not self.wanted(name, tags):
            self.ignored += 1
            self.ignored_failures += failed
            return
        self.cases.append((name, tags))
        if failed:
            self.failed += 1
            self.failures.append(name or f"case {self.results}")
        elif word == "SKIP" or not passed:
            self.skipped += 1
        else:
            self.passed += 1

    @property
    def results(self):
        return self.passed + self.failed + self.skipped + self.ignored

    @property
    def not_selected(self):
        return self.ignored + self.left_out

    def problems(self, status):
        """What makes the whole suite fail beside failed cases."""
        if self.bail_out is not None:
            return [f"bailed out: {self.bail_out}"]
        found = []
        if self.plan is None and self.results > 0:
            found.append(f"no plan: {self.results} results came, how many were due is unknown")
        elif self.plan is not None and self.plan != self.results:
            found.append(f"{self.plan} results were planned, {self.results} came")
        if self.results == 0 and self.plan != 0:
            found.append("no results")
        if status != 0 and self.failed + self.ignored_failures == 0:
            found.append(f"ended with status {status}")
        return found
