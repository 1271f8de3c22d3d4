"""Counts the results of one suite's KTAP (the kernel's Documentation/dev-tools/ktap.rst).

Only the outermost level counts: a subtest's results are summed up in its parent's.
"""

import re
from dataclasses import dataclass, field

RESULT = re.compile(r"^(ok|not ok)(?:\s+(\d+)(?=\s|$))?(?:\s+(.*))?$")
PLAN = re.compile(r"^1\.\.(\d+)\s*(?:#.*)?$")
DIRECTIVE = re.compile(r"(?:^|\s)#\s*(SKIP|TODO|XFAIL|TIMEOUT|ERROR)\b", re.IGNORECASE)


@dataclass
class Counter:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    plan: int = None
    bail_out: str = None
    failures: list = field(default_factory=list)

    def take(self, line):
        """Counts a line of standard output; True when it was a result, at any level."""
        text = line.strip()
        result = RESULT.match(text)
        if line[:1].isspace():
            return result is not None
        plan = PLAN.match(text)
        if plan:
            self.plan = int(plan[1])
        elif text.lower().startswith("bail out!"):
            self.bail_out = text[len("bail out!") :].strip() or "no reason given"
        elif result:
            self.count(result[1] == "ok", result[3] or "")
        return result is not None

    def count(self, passed, text):
        directive = DIRECTIVE.search(text)
        word = directive[1].upper() if directive else None
        name = re.sub(r"^-\s*", "", text)
        if word == "SKIP" or (not passed and word in ("TODO", "XFAIL")):
            self.skipped += 1
        elif passed and word not in ("TIMEOUT", "ERROR"):
            self.passed += 1
        else:
            self.failed += 1
            self.failures.append(name or f"case {self.results}")

    @property
    def results(self):
        return self.passed + self.failed + self.skipped

    def problems(self, status):
        """What makes the whole suite fail beside failed cases."""
        if self.bail_out is not None:
            return [f"bailed out: {self.bail_out}"]
        found = []
        if self.plan is not None and self.plan != self.results:
            found.append(f"{self.plan} results were planned, {self.results} came")
        if self.results == 0 and self.plan != 0:
            found.append("no results")
        if status != 0 and self.failed == 0:
            found.append(f"ended with status {status}")
        return found
