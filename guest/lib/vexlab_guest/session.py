"""The processes of a command: how one is entered as a user, and how all are killed."""

import errno
import os
import signal
import time

# SIGKILL reaches a process that forks before the child is seen, so look again.
KILL_PASSES = 5


def become(fds, user, cwd, argv, environment):
    """In the child: turns into the program, or says why not. Never returns."""
    code = 0
    try:
        os.setsid()
        for target, fd in enumerate(fds[:3]):
            os.dup2(fd, target)
        spare_from_privilege()
        # Python ignores these, and a program inherits that.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        if os.geteuid() == 0:
            os.initgroups(user.pw_name, user.pw_gid)
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
        elif user.pw_uid != os.geteuid():
            raise PermissionError(errno.EPERM, f"only root can become {user.pw_name}")
        try:
            os.chdir(cwd or user.pw_dir)
        except OSError:
            if cwd:
                raise
            os.chdir("/")
        # A shell's exit statuses: not found, found but not to be run.
        code = 127
        os.execvpe(argv[0], argv, environment)
    except BaseException as error:  # noqa: BLE001
        if code and getattr(error, "errno", None) not in (errno.ENOENT, errno.ENOTDIR):
            code = 126
        reason = getattr(error, "strerror", None) or str(error)
        what = argv[0].decode("utf-8", "replace") if code else "not started"
        os.write(fds[3], f"{code} {what}: {reason}".encode()[:4096])
    finally:
        os._exit(127)


def spare_from_privilege():
    """The agent is spared when memory runs out; what it runs is not (as sshd does it)."""
    try:
        fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(fd, b"0")
        os.close(fd)
    except OSError:
        pass


def kill_session(leader, lives):
    """Kills every process of the session of `leader`, and what descends from it.

    A leader that has ended (`lives` is false) may have given its number to another process.
    """
    for _ in range(KILL_PASSES):
        # All are found before the first is killed: an orphan's parent is no longer known. The leader
        # may not have its session yet.
        found = members(leader, lives)
        if not found:
            return
        for pid in found:
            send_kill(pid)
        time.sleep(0.002)


def members(leader, lives):
    """The living processes of the session of `leader`, and those that descend from it."""
    sessions, parents = {}, {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb", buffering=0) as file:
                text = file.read(1024)
        except OSError:
            continue
        # The name may hold spaces and brackets: the fields after it count from the last bracket.
        # proc(5): state, ppid, pgrp, session.
        fields = text[text.rfind(b")") + 2 :].split(b" ", 4)
        if len(fields) > 3 and fields[0] not in (b"Z", b"X"):
            parents[int(name)], sessions[int(name)] = int(fields[1]), int(fields[3])
    found = {pid for pid, session in sessions.items() if session == leader or (lives and pid == leader)}
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return found


def send_kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass


def signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"
