"""Programs run as root, with deadlines that really end them."""

import os
import selectors
import signal
import subprocess
import time

# How long a killed program has to disappear, and its children to close their output.
GRACE = 5


class Hung(Exception):
    """A deadline passed; the program was killed."""


def root_prefix():
    return [] if os.geteuid() == 0 else ["sudo", "-n", "--"]


def as_root(command, deadline=60):
    """Runs a short command as root; None when it succeeded, else its message."""
    try:
        done = subprocess.run(
            root_prefix() + command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=deadline,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"not finished after {deadline} s"
    except OSError as error:
        return str(error)
    if done.returncode == 0:
        return None
    return done.stdout.strip() or f"status {done.returncode}"


def run_live(command, cwd, environment, case_timeout, timeout, on_output, on_log):
    """Runs a program as root, in a session of its own, and hands out its lines as they come.

    `on_output` gets a line of standard output and says whether it was a result, which starts the
    case's deadline anew; `on_log` gets a line of standard error. Returns the exit status.
    Raises Hung after killing everything in the session.
    """
    variables = [f"{key}={value}" for key, value in environment.items()]
    process = subprocess.Popen(
        [*root_prefix(), "env", *variables, *command],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    began = case_began = time.monotonic()
    ended = None
    selector = selectors.DefaultSelector()
    pending = {}
    for stream, take in ((process.stdout, on_output), (process.stderr, on_log)):
        os.set_blocking(stream.fileno(), False)
        selector.register(stream, selectors.EVENT_READ, take)
        pending[stream] = b""
    try:
        while selector.get_map():
            for key, _ in selector.select(timeout=0.1):
                chunk = key.fileobj.read()
                if chunk is None:
                    continue
                *lines, pending[key.fileobj] = (pending[key.fileobj] + chunk).split(b"\n")
                if not chunk:
                    lines = [pending.pop(key.fileobj)]
                    selector.unregister(key.fileobj)
                    lines = lines if lines[0] else []
                for line in lines:
                    if key.data(line.decode("utf-8", "replace").rstrip("\r")):
                        case_began = time.monotonic()
            now = time.monotonic()
            if process.poll() is not None:
                # A child that was left behind may hold the output open for ever.
                ended = ended or now
                if now - ended > GRACE:
                    break
            elif now - began > timeout:
                raise Hung(f"not finished after {timeout:g} s")
            elif now - case_began > case_timeout:
                raise Hung(f"no result for {case_timeout:g} s")
        remaining = max(0.1, timeout - (time.monotonic() - began))
        return process.wait(timeout=remaining)
    except subprocess.TimeoutExpired:
        raise Hung(f"not finished after {timeout:g} s") from None
    finally:
        kill_session(process)


def kill_session(process):
    """Kills whatever is left of the program's session."""
    if os.geteuid() == 0:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    as_root(["pkill", "-KILL", "-s", str(process.pid)], GRACE)
    try:
        process.wait(timeout=GRACE)
    except subprocess.TimeoutExpired:
        # It hangs in the kernel; there is nothing more that a program could do.
        pass
