"""Runs commands for the host, and renews the guest's identity, over a virtio-serial port.

The messages are in docs/architecture.md ("The control channel"): one JSON object a line. One thread,
one epoll: nothing here may wait for a command, a pipe or the host. It starts at each boot of an
emulated guest, where each module that Python loads costs tens of milliseconds: hence no argparse,
no subprocess, no selectors.
"""

import binascii
import json
import os
import select
import signal
import stat
import sys
import time

from . import identity
from .command import Command, Unstartable, locale_variables

PORT = "/dev/virtio-ports/vexlab.control"
VERSION = 1
# The port takes 32 KiB at a time (port_fops_write in the kernel's drivers/char/virtio_console.c).
CHUNK = 32 * 1024
# No message of the host is longer; a longer line is thrown away.
LINE_LIMIT = 4 * 1024 * 1024
# Bytes that wait for the port: at HIGH the commands' output is no longer read, at LOW again.
HIGH = 256 * 1024
LOW = 64 * 1024
# Seconds. While the host is away the port reports a hang-up all the time; being edge-triggered, epoll
# tells of it once, and again when the host comes. Looking now and then is for safety only.
AWAY_LOOK = 1.0
# Between looks for a port that isn't there (yet): doubled each time, up to the second.
FIRST_LOOK, LAST_LOOK = 0.05, 5.0
# Seconds after a new identity for what of it can wait.
PUT_OFF = 3.0


class Agent:
    def __init__(self, path, root):
        self.path = path
        self.root = root
        self.epoll = select.epoll()
        self.handlers = {}
        self.port = None
        self.is_socket = False
        self.look = FIRST_LOOK
        self.away = False
        self.greeted = False
        self.incoming = b""
        self.skipping = False
        self.outgoing = bytearray()
        self.paused = False
        self.commands = {}
        self.locale = {}
        self.put_off = None
        self.watch_children()

    def run(self):
        while True:
            if self.port is None:
                self.open_port()
            for fd, _ in self.epoll.poll(self.timeout()):
                handler = self.handlers.get(fd)
                if handler is not None:
                    handler()
            if self.away:
                self.port_ready()
            for command in list(self.commands.values()):
                command.finish_if_due(time.monotonic())
            self.flush()
            self.do_put_off()

    def timeout(self):
        """Seconds until something has to be done without an event; None when nothing has."""
        times = [
            max(0.0, command.drain_by - time.monotonic())
            for command in self.commands.values()
            if command.drain_by is not None and not self.paused
        ]
        if self.put_off is not None:
            times.append(max(0.0, self.put_off[0] - time.monotonic()))
        if self.port is None:
            times.append(self.look)
            self.look = min(2 * self.look, LAST_LOOK)
        elif self.away:
            times.append(AWAY_LOOK)
        return min(times) if times else None

    def do_put_off(self):
        if self.put_off is None or time.monotonic() < self.put_off[0]:
            return
        wanted, self.put_off = self.put_off[1], None
        identity.later(wanted, self.root)

    # What is watched

    def watch(self, fd, events, handler):
        self.handlers[fd] = handler
        self.epoll.register(fd, events)

    def unwatch(self, fd):
        if self.handlers.pop(fd, None) is not None:
            self.epoll.unregister(fd)

    def watch_children(self):
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # Without a handler of Python's own the signal would not reach the pipe.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        self.watch(reader, select.EPOLLIN, lambda: self.reap(reader))

    def reap(self, reader):
        try:
            os.read(reader, 4096)
        except BlockingIOError:
            pass
        by_pid = {command.pid: command for command in self.commands.values()}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in by_pid:
                by_pid[pid].ended(status, time.monotonic())

    # The port

    def open_port(self):
        try:
            if stat.S_ISSOCK(os.stat(self.path).st_mode):
                self.port, self.is_socket = connect(self.path), True
            else:
                self.port = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
                self.is_socket = False
            self.watch(self.port, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET, self.port_ready)
        except OSError:
            # Not there yet, held by somebody else, or of a kind that can't be watched.
            self.close_port()
            return
        self.look = FIRST_LOOK

    def close_port(self):
        if self.port is None:
            return
        self.unwatch(self.port)
        os.close(self.port)
        self.port, self.away, self.incoming, self.skipping = None, False, b"", False

    def port_ready(self):
        while self.port is not None:
            try:
                data = os.read(self.port, 2 * CHUNK)
            except BlockingIOError:
                self.away = False
                return
            except OSError:
                self.close_port()
                return
            if not data:
                self.away = True
                if self.is_socket:
                    self.close_port()
                return
            self.away = False
            self.take(data)

    def flush(self):
        while self.outgoing and self.port is not None:
            try:
                written = os.write(self.port, self.outgoing[:CHUNK])
            except BlockingIOError:
                break
            except OSError:
                self.close_port()
                break
            del self.outgoing[:written]
        if self.paused and len(self.outgoing) <= LOW:
            self.paused = False
            for command in self.commands.values():
                command.resume()

    def send(self, line):
        self.outgoing += line
        self.outgoing += b"\n"
        if not self.paused and len(self.outgoing) >= HIGH:
            self.flush()
            if len(self.outgoing) >= HIGH:
                self.paused = True
                for command in self.commands.values():
                    command.pause()

    def tell(self, message):
        self.send(json.dumps(message).encode())

    # Messages

    def take(self, data):
        *lines, rest = (self.incoming + data).split(b"\n")
        if lines and self.skipping:
            lines[0] = b""
            self.skipping = False
        if self.skipping or len(rest) > LINE_LIMIT:
            rest, self.skipping = b"", True
        self.incoming = rest
        for line in lines:
            if not line:
                continue
            try:
                message = json.loads(line)
            except ValueError:
                # Half a line of a host that went away: the next one is whole again.
                continue
            if isinstance(message, dict):
                self.obey(message)

    def obey(self, message):
        try:
            if "hello" in message:
                self.hello(message["hello"])
            elif not self.greeted:
                # Left over from a host that spoke to an agent before this one.
                pass
            elif "run" in message:
                self.start(message["run"], message)
            elif "in" in message:
                command = self.commands.get(message["in"])
                if command is not None and message.get("end"):
                    command.end_input()
                elif command is not None:
                    command.feed(binascii.a2b_base64(message["data"]))
            elif "kill" in message:
                command = self.commands.get(message["kill"])
                if command is not None:
                    command.kill()
            elif "identity" in message:
                problems = identity.renew(message, self.root)
                self.tell({"identified": message["identity"], "problems": problems})
                self.put_off = (time.monotonic() + PUT_OFF, message)
        except Exception as error:  # noqa: BLE001
            # Whatever a message holds, the next one is served.
            print(f"vexlab-agent: {type(error).__name__}: {error}", file=sys.stderr, flush=True)

    def hello(self, nonce):
        for command in list(self.commands.values()):
            command.kill()
            command.close()
        self.commands.clear()
        # A line of the former session may have gone half, so ours begins on a new one.
        self.outgoing[:] = b"\n"
        self.paused = False
        self.greeted = True
        self.locale = locale_variables(self.root)
        self.tell({"hello": nonce, "agent": VERSION, "kernel": os.uname().release})
        # A guest that is going to be saved has it done, then, for all its copies.
        self.flush()
        identity.prepare()

    def start(self, number, message):
        if not isinstance(number, int):
            raise TypeError(f"{number!r} is not the number of a command")
        if number in self.commands:
            self.tell({"failed": number, "error": "a command of that number still runs"})
            return
        try:
            self.commands[number] = Command(self, number, message, self.locale)
        except Unstartable as error:
            self.tell({"failed": number, "error": str(error)})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self.tell({"failed": number, "error": f"not a command: {error!r}"})
        except OSError as error:
            self.tell({"failed": number, "error": f"no process or pipe could be made: {error}"})


def connect(path):
    """A UNIX socket in the port's place, for tests."""
    # Not at the top: the guest has no use for it.
    import socket

    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        connection.connect(path)
        connection.setblocking(False)
        return connection.detach()
    finally:
        connection.close()


def main(arguments):
    """vexlab-agent [PORT [ROOT]]: ROOT is a folder that stands for / in the identity, for tests."""
    path = arguments[0] if arguments else PORT
    root = arguments[1] if len(arguments) > 1 else "/"
    Agent(path, root).run()
