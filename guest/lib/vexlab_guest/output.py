"""What a person sees, and its copy in a log file."""

import sys
import time
from pathlib import Path


class Output:
    """Lines to the terminal, and to a log file if there is one."""

    def __init__(self, log=None):
        self._log = log

    def line(self, text):
        print(text, flush=True)
        if self._log is not None:
            print(text, file=self._log, flush=True)

    def error(self, text):
        print(text, file=sys.stderr, flush=True)
        if self._log is not None:
            print(text, file=self._log, flush=True)


def open_log(folder):
    """A new log file, test_log_<timestamp>.txt; an existing one is never overwritten."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%d_%H%M%S")
    number = 1
    while True:
        suffix = "" if number == 1 else f"_{number}"
        try:
            return open(Path(folder) / f"test_log_{stamp}{suffix}.txt", "x", encoding="utf-8")
        except FileExistsError:
            number += 1
