"""One command that the agent runs: its process, its pipes, its end."""

import binascii
import os
import pwd
import select

from .session import become, kill_session, signal_name

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CHUNK = 32 * 1024
# Seconds that a pipe is read after its process has ended: what it was written is in it by then, and
# a child that was left behind may hold it open for ever.
DRAIN = 0.2
# Bytes read at most from each pipe at the end; a pipe holds 64 KiB unless it was told otherwise.
LEFT = 1024 * 1024


class Unstartable(Exception):
    """The command can't be run; says why."""


class Command:
    """`agent` is where its pipes are watched and its messages go."""

    def __init__(self, agent, number, message, locale):
        self.agent = agent
        self.number = number
        self.tag = b"%d" % number
        self.outputs = {}
        self.input = None
        self.pending = bytearray()
        self.input_ended = False
        self.report = None
        self.failure = b""
        self.status = None
        self.drain_by = None
        self.watched = set()
        self.spawn(message, locale)

    def spawn(self, message, locale):
        argv = [word.encode("utf-8", "surrogateescape") for word in message["argv"]]
        if not argv or any(b"\0" in word for word in argv):
            raise ValueError("argv")
        try:
            user = pwd.getpwnam(message["user"])
        except KeyError:
            raise Unstartable(f"no such user: {message['user']}") from None
        environment = {
            **locale,
            "HOME": user.pw_dir,
            "USER": user.pw_name,
            "LOGNAME": user.pw_name,
            "SHELL": user.pw_shell or "/bin/sh",
            "PATH": PATH,
            **(message.get("env") or {}),
        }
        cwd = message.get("cwd")
        ours, theirs = [], []
        try:
            if message.get("stdin"):
                reader, writer = os.pipe()
                theirs.append(reader)
                ours.append(writer)
                self.input = writer
            else:
                theirs.append(os.open("/dev/null", os.O_RDONLY))
            for name in (b"out", b"err", b"report"):
                reader, writer = os.pipe()
                ours.append(reader)
                theirs.append(writer)
                if name == b"report":
                    self.report = reader
                else:
                    self.outputs[reader] = name
            self.pid = os.fork()
        except OSError:
            for fd in ours + theirs:
                os.close(fd)
            raise
        if self.pid == 0:
            become(theirs, user, cwd, argv, environment)
        for fd in theirs:
            os.close(fd)
        for fd in ours:
            os.set_blocking(fd, False)
        if self.agent.paused:
            return
        self.resume()

    # Output

    def pause(self):
        for fd in list(self.watched):
            self.watched.discard(fd)
            self.agent.unwatch(fd)

    def resume(self):
        if self.report is not None:
            self.look_at(self.report, self.read_report)
        for fd in self.outputs:
            self.look_at(fd, lambda fd=fd: self.read(fd))

    def look_at(self, fd, handler):
        if fd not in self.watched:
            self.watched.add(fd)
            self.agent.watch(fd, select.EPOLLIN, handler)

    def read(self, fd):
        """Passes on what there is, at most a chunk; its length, 0 at the end, None for nothing now."""
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        if data:
            self.agent.send(
                b'{"%s":%s,"data":"%s"}'
                % (self.outputs[fd], self.tag, binascii.b2a_base64(data, newline=False))
            )
        else:
            del self.outputs[fd]
            self.drop(fd)
        return len(data)

    def read_report(self):
        """What the child said before the program began: nothing, or why it could not."""
        try:
            data = os.read(self.report, 4096)
        except BlockingIOError:
            return
        self.failure += data
        if not data:
            self.drop(self.report)
            self.report = None

    def drop(self, fd):
        self.watched.discard(fd)
        self.agent.unwatch(fd)
        os.close(fd)

    # Input

    def feed(self, data):
        if self.input is not None and not self.input_ended:
            self.pending += data
            self.write()

    def end_input(self):
        self.input_ended = True
        self.write()

    def write(self):
        if self.input is None:
            return
        while self.pending:
            try:
                written = os.write(self.input, self.pending[: 2 * CHUNK])
            except BlockingIOError:
                if self.input not in self.agent.handlers:
                    self.agent.watch(self.input, select.EPOLLOUT, self.write)
                return
            except OSError:
                # Nobody reads it any more; the host hears of the end when the command ends.
                self.pending.clear()
                self.close_input()
                return
            del self.pending[:written]
            self.agent.send(b'{"took":%s,"bytes":%d}' % (self.tag, written))
        self.agent.unwatch(self.input)
        if self.input_ended:
            self.close_input()

    def close_input(self):
        self.agent.unwatch(self.input)
        os.close(self.input)
        self.input = None

    # The end

    def ended(self, status, now):
        self.status = status
        self.drain_by = now + DRAIN

    def finish_if_due(self, now):
        """Tells the host of the end, once the process has ended and its output was passed on."""
        if self.status is None:
            return
        if self.outputs or self.report is not None:
            if self.agent.paused or now < self.drain_by:
                return
            if self.report is not None:
                self.read_report()
            for fd in list(self.outputs):
                left = LEFT
                while left > 0:
                    length = self.read(fd)
                    if not length:
                        break
                    left -= length
        self.close()
        del self.agent.commands[self.number]
        if self.failure:
            code, _, text = self.failure.decode("utf-8", "replace").partition(" ")
            message = {"failed": self.number, "error": text}
            if code != "0":
                message["code"] = int(code)
            self.agent.tell(message)
            return
        killed = os.WIFSIGNALED(self.status)
        self.agent.tell(
            {
                "exit": self.number,
                "code": None if killed else os.WEXITSTATUS(self.status),
                "signal": signal_name(os.WTERMSIG(self.status)) if killed else None,
            }
        )

    def close(self):
        for fd in list(self.outputs):
            self.drop(fd)
        self.outputs.clear()
        if self.report is not None:
            self.drop(self.report)
            self.report = None
        if self.input is not None:
            self.close_input()

    def kill(self):
        """Kills every process of the command's session, and what descends from the command."""
        kill_session(self.pid, self.status is None)


def locale_variables(root):
    """LANG and its kin as pam_env gives them to an SSH session on Debian."""
    variables = {}
    try:
        with open(os.path.join(root, "etc/default/locale"), encoding="utf-8") as file:
            for line in file:
                name, equals, value = line.strip().partition("=")
                if equals and (name.startswith("LC_") or name in ("LANG", "LANGUAGE")):
                    variables[name] = value.strip("\"'")
    except (OSError, ValueError):
        pass
    return variables
