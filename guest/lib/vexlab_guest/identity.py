"""Makes the copy of a saved guest a guest of its own: clock, randomness, names, keys.

Natively and with hardly a child process: each costs 50 ms or more under emulation. Every step that
fails is one sentence in the answer, and the others still happen.
"""

import binascii
import fcntl
import os
import pwd
import signal
import sys
import time

from .files import in_place, own, read, write

# include/uapi/linux/random.h: _IOW('R', 0x03, int[2]) and _IO('R', 0x07).
RNDADDENTROPY, RNDRESEEDCRNG = 0x40085203, 0x5207
# include/uapi/linux/fs.h: _IO(0x12, 97).
BLKFLSBUF = 0x1261
# What systemd-random-seed(8) keeps.
SEED_LENGTH = 512
MOUNT_POINT = "/mnt/vexfs-src"
# Seconds for telling systemd.
PROGRAM_DEADLINE = 30
# Seconds for sshd to listen again.
SSHD_DEADLINE = 15
CONSOLE = "/dev/ttyS0"


def renew(wanted, root="/"):
    """Gives the guest the identity `wanted` (docs/architecture.md); the sentences of what failed.

    `root` is the folder that stands for /. With another one than / the kernel's clock, its random
    pool and the disk's buffers stay as they are.
    """
    return Renewal(wanted, root).run()


def prepare():
    """Loads what `renew` uses of modules that take long to load."""
    from . import mount  # noqa: F401


def later(wanted, root="/"):
    """What of `renew` was put off: a guest without an SSH port starts sshd's program anew, a tenth of a
    second of its first one, when it has had time for what it was started for."""
    if not wanted.get("sshd"):
        Renewal(wanted, root).hang_up_sshd()


class Renewal:
    def __init__(self, wanted, root):
        self.wanted = wanted
        self.root = root
        self.is_guest = root == "/"
        self.problems = []

    def run(self):
        wanted = self.wanted
        if self.is_guest:
            self.attempt("set the clock", lambda: time.clock_settime(time.CLOCK_REALTIME, wanted["time"]))
            # Before sshd starts anew, since that seeds itself from it.
            self.attempt("seed the kernel's random pool", self.seed_pool)
        self.attempt("replace the SSH host key", self.replace_host_key)
        # sshd's new start takes longest, so it is beside the other steps. Where nobody comes in by SSH it
        # can wait: see `later`.
        waits = wanted.get("sshd")
        sshd = self.attempt("make sshd take its key", self.reload_sshd) if waits else None
        if self.is_guest:
            self.attempt("drop the cloud-init disk's buffers", self.drop_buffers)
        self.attempt("write the random seed", self.write_seed)
        self.attempt("set the host name", self.set_hostname)
        self.attempt("write the machine id", self.write_machine_id)
        self.attempt("replace the authorized key", self.replace_authorized_key)
        self.attempt("rename cloud-init's instance", self.rename_instance)
        if waits:
            self.attempt("say on the console who it is", self.announce)
        if wanted.get("mount"):
            self.attempt("mount the share", self.mount_share)
        if sshd is not None:
            self.attempt("see sshd listen again", lambda: self.restarted(sshd))
        return self.problems

    def attempt(self, what, step):
        try:
            return step()
        except Exception as error:  # noqa: BLE001
            reason = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
            self.problems.append(f"can't {what}: {reason}")
            return None

    def path(self, absolute):
        return os.path.join(self.root, absolute.lstrip("/"))

    def seed_pool(self):
        seed = binascii.a2b_base64(self.wanted["seed"])
        # struct rand_pool_info: bits of entropy, bytes, the bytes.
        order = sys.byteorder
        pool = (8 * len(seed)).to_bytes(4, order) + len(seed).to_bytes(4, order) + seed
        with open("/dev/urandom", "rb", buffering=0) as device:
            fcntl.ioctl(device, RNDADDENTROPY, pool)
            # The generator draws on the pool now and then only; two copies must differ at once.
            fcntl.ioctl(device, RNDRESEEDCRNG)

    def write_seed(self):
        file = self.path("/var/lib/systemd/random-seed")
        if os.path.exists(file):
            write(file, os.urandom(SEED_LENGTH), 0o600)

    def drop_buffers(self):
        # The disk holds other documents than the one that the saved guest has read. A guest without
        # it, or a disk in use, needs nothing.
        for label in ("cidata", "CIDATA"):
            try:
                with open(f"/dev/disk/by-label/{label}", "rb", buffering=0) as disk:
                    fcntl.ioctl(disk, BLKFLSBUF)
            except OSError:
                pass

    def set_hostname(self):
        name = one_word(self.wanted["hostname"])
        file = self.path("/etc/hostname")
        old = (read(file) or "").strip()
        # sethostname(2) by its file: Python's is in a module that takes long to load.
        in_place(self.path("/proc/sys/kernel/hostname"), name)
        write(file, f"{name}\n")
        hosts = self.path("/etc/hosts")
        write(hosts, hosts_with(read(hosts) or "", old, name))

    def write_machine_id(self):
        wanted = self.wanted["machineId"]
        if len(wanted) != 32 or wanted.strip("0123456789abcdef"):
            raise ValueError(f"{wanted!r} is not 32 hexadecimal digits")
        file = self.path("/etc/machine-id")
        old = (read(file) or "").strip()
        # In place: it may be a mount point (systemd's transient id).
        in_place(file, f"{wanted}\n")
        dbus = self.path("/var/lib/dbus/machine-id")
        if os.path.exists(dbus) and not os.path.islink(dbus):
            in_place(dbus, f"{wanted}\n")
        # journald goes on in the folder that it has opened; journalctl looks for the new id's.
        for journals in ("/run/log/journal", "/var/log/journal"):
            folder = self.path(journals)
            if old and old != wanted and os.path.isdir(f"{folder}/{old}"):
                os.symlink(old, f"{folder}/{wanted}")

    def replace_host_key(self):
        key = self.wanted["hostKey"]
        folder = self.path("/etc/ssh")
        write(f"{folder}/ssh_host_ed25519_key", whole_line(key["private"]), 0o600)
        write(f"{folder}/ssh_host_ed25519_key.pub", whole_line(key["public"]))
        for name in os.listdir(folder):
            if (
                name.startswith("ssh_host_")
                and name.endswith(("_key", "_key.pub"))
                and "_ed25519_" not in name
            ):
                os.unlink(f"{folder}/{name}")

    def reload_sshd(self):
        """What to wait for until sshd listens again; None where that can't be told."""
        before = self.sshd_file()
        if self.hang_up_sshd():
            return before
        run("systemctl", "try-restart", "--no-block", "ssh")
        return None

    def hang_up_sshd(self):
        """sshd reads its keys anew when it is hung up; its number is checked, being from a file."""
        number = (read(self.path("/run/sshd.pid")) or "").strip()
        if not number.isdigit() or (read(self.path(f"/proc/{number}/comm")) or "").strip() != "sshd":
            return False
        os.kill(int(number), signal.SIGHUP)
        return True

    def sshd_file(self):
        """Which file of its number sshd has: it removes it when it is hung up and writes one anew
        once it listens (sshd.c: sighup_restart and main of OpenSSH)."""
        try:
            status = os.stat(self.path("/run/sshd.pid"))
            return status.st_ino, status.st_mtime_ns
        except FileNotFoundError:
            return None

    def restarted(self, before):
        give_up = time.monotonic() + SSHD_DEADLINE
        while self.sshd_file() in (None, before):
            if time.monotonic() > give_up:
                raise TimeoutError(f"it did not within {SSHD_DEADLINE} s of its hang-up")
            time.sleep(0.01)

    def replace_authorized_key(self):
        user = pwd.getpwnam(self.wanted["user"])
        folder = os.path.join(self.path(user.pw_dir), ".ssh")
        if not os.path.isdir(folder):
            os.mkdir(folder, 0o700)
            own(folder, user.pw_uid, user.pw_gid)
        file = f"{folder}/authorized_keys"
        try:
            status = os.stat(file)
            owner = (status.st_uid, status.st_gid)
        except FileNotFoundError:
            owner = (user.pw_uid, user.pw_gid)
        write(file, whole_line(self.wanted["authorizedKey"]), 0o600, owner)

    def rename_instance(self):
        """Has a later cold boot take this guest for the instance that the cloud-init disk names.

        Read in cloud-init 22.4 (Debian 12): at a boot /run/cloud-init/.instance-id is gone and NoCloud
        on a disk can't check its cache (check_instance_id), so the obj.pkl with the old id is thrown
        away and the disk is read (stages._restore_from_checked_cache). Then the disk's id counts:
        is_new_instance compares it with data/instance-id, and what runs once for an instance (host
        keys, users, runcmd, scripts) is marked in instances/<id>/sem. So both get the new id. The
        link `instance` is only where obj.pkl is looked for.
        """
        new = one_word(self.wanted["instanceId"])
        if "/" in new or new in (".", ".."):
            raise ValueError(f"{new!r} can't be the name of an instance")
        cloud = self.path("/var/lib/cloud")
        old = (read(f"{cloud}/data/instance-id") or "").strip()
        if not old:
            raise ValueError("cloud-init has not named an instance yet")
        # cloud-init names the folder with _ for /.
        folder = old.replace("/", "_")
        if folder != new:
            os.rename(f"{cloud}/instances/{folder}", f"{cloud}/instances/{new}")
        # The configuration of the guest that was saved: at the next boot, before the disk's own is
        # merged, cloud-init's first stage would set the host name from it.
        for name in ("cloud-config.txt", "obj.pkl"):
            if os.path.exists(f"{cloud}/instances/{new}/{name}"):
                os.unlink(f"{cloud}/instances/{new}/{name}")
        link = f"{cloud}/instance"
        partial = f"{link}.vexlab"
        if os.path.lexists(partial):
            os.unlink(partial)
        os.symlink(f"/var/lib/cloud/instances/{new}", partial)
        os.rename(partial, link)
        for name in ("instance-id", "previous-instance-id"):
            write(f"{cloud}/data/{name}", f"{new}\n")
        # With the old id here, a `cloud-init init` by hand would take the obj.pkl for valid.
        in_this_boot = self.path("/run/cloud-init/.instance-id")
        if os.path.exists(in_this_boot):
            write(in_this_boot, f"{new}\n")

    def announce(self):
        """What the boot said on the console (lab/guest/announcement.ts), now with the new host key.

        Twice, as there: a kernel message can break a line.
        """
        key = " ".join(self.wanted["hostKey"]["public"].split()[:2])
        result = (read(self.path("/run/cloud-init/result.json")) or "").replace("\n", "")
        lines = f"\nVEXLAB-HOST-KEY {key}\nVEXLAB-READY {result}\n"
        in_place(self.path(CONSOLE), 2 * lines)

    def mount_share(self):
        from . import mount

        line = self.wanted["mount"]
        if line == "fstab":
            folder = MOUNT_POINT
            source, kind, options = mount.line_of(read(self.path("/etc/fstab")) or "", folder)
        else:
            source, folder, kind, options = (line[key] for key in ("source", "folder", "type", "options"))
        # Mounted already is well, too.
        if not os.path.ismount(self.path(folder)):
            mount.mount(source, self.path(folder), kind, options)


def hosts_with(text, old, name):
    """/etc/hosts as cloud-init's `manage_etc_hosts: localhost` leaves it, without the old name.

    cloud-init writes `127.0.1.1 FQDN HOST`, and the two are the same for a name without a domain.
    """
    entry = f"127.0.1.1\t{name}\t{name}"
    lines = []
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["127.0.1.1"]:
            if entry not in lines:
                lines.append(entry)
        elif words[:1] == ["127.0.0.1"] and old in words[1:] and old != "localhost":
            lines.append("\t".join(name if word == old else word for word in words))
        else:
            lines.append(line)
    if entry not in lines:
        lines.append(entry)
    return "\n".join(lines) + "\n"


def run(*argv):
    """Runs a program; raises with its message when it fails or hangs."""
    reader, writer = os.pipe()
    try:
        try:
            actions = [(os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_DUP2, writer, 2)]
            pid = os.posix_spawnp(
                argv[0], argv, os.environ, file_actions=actions, setsigdef=[signal.SIGPIPE]
            )
        finally:
            os.close(writer)
        os.set_blocking(reader, False)
        give_up = time.monotonic() + PROGRAM_DEADLINE
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                break
            if time.monotonic() > give_up:
                # The agent reaps it when it does end.
                os.kill(pid, signal.SIGKILL)
                raise TimeoutError(f"{' '.join(argv)} did not end within {PROGRAM_DEADLINE} s")
            time.sleep(0.01)
        if status != 0:
            try:
                said = os.read(reader, 4096).decode("utf-8", "replace").strip()
            except BlockingIOError:
                said = ""
            raise OSError(f"{' '.join(argv)}: {said or f'wait status {status}'}")
    finally:
        os.close(reader)


def one_word(text):
    if not text or text.split() != [text] or "\0" in text:
        raise ValueError(f"{text!r} is not a name")
    return text


def whole_line(text):
    return text if text.endswith("\n") else f"{text}\n"
