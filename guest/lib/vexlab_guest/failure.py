"""Exit codes, the same as those of the `vexlab` command on the host."""

import enum
import sys


class Exit(enum.IntEnum):
    PASSED = 0
    FAILED = 1
    USAGE = 2
    INFRASTRUCTURE = 3
    CRASHED = 4
    HUNG = 5
    BUILD_FAILED = 6
    LOAD_FAILED = 7
    CANCELLED = 130


class Failure(Exception):
    """What ends the program, with its exit code and a message for a person."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code

    def report(self):
        print(f"vexlab-guest: {self}", file=sys.stderr)
        return int(self.code)
