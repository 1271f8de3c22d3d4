"""mount(2), with the options of a line in fstab(5).

The program mount(8) takes an emulated guest that was just resumed a fifth of a second. ctypes takes
long to load, so whoever wants this soon imports it when nobody waits.
"""

import ctypes
import os

# Options that are flags of mount(2), and whether they set or clear it: include/uapi/linux/mount.h.
FLAGS = {
    "ro": (1, True),
    "rw": (1, False),
    "nosuid": (2, True),
    "suid": (2, False),
    "nodev": (4, True),
    "dev": (4, False),
    "noexec": (8, True),
    "exec": (8, False),
    "sync": (16, True),
    "async": (16, False),
    "dirsync": (128, True),
    "noatime": (1024, True),
    "atime": (1024, False),
    "nodiratime": (2048, True),
    "diratime": (2048, False),
    "relatime": (1 << 21, True),
    "strictatime": (1 << 24, True),
    "lazytime": (1 << 25, True),
}
# What is there for the programs that read the line: mount(8), systemd.mount(5).
FOR_PROGRAMS = {"defaults", "auto", "noauto", "nofail", "user", "nouser", "users", "owner", "group", "_netdev"}
PREFIXES_FOR_PROGRAMS = ("x-", "X-", "comment=")

libc = ctypes.CDLL(None, use_errno=True)


def mount(source, folder, kind, options):
    """Mounts; raises OSError."""
    flags, data = parsed(options)
    words = [os.fsencode(word) for word in (source, folder, kind)]
    if libc.mount(*words, ctypes.c_ulong(flags), os.fsencode(data)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), f"{source} on {folder}")


def parsed(options):
    """The flags of mount(2), and the text of what the file system itself is told."""
    flags = 0
    rest = []
    for option in options.split(","):
        if option in FLAGS:
            flag, sets = FLAGS[option]
            flags = flags | flag if sets else flags & ~flag
        elif option not in FOR_PROGRAMS and not option.startswith(PREFIXES_FOR_PROGRAMS):
            rest.append(option)
    return flags, ",".join(rest)


def line_of(fstab, folder):
    """Source, type and options of the line for a folder whose name needs no escapes."""
    for line in fstab.splitlines():
        words = line.split()
        if len(words) >= 4 and not words[0].startswith("#") and words[1] == folder:
            return words[0], words[2], words[3]
    raise LookupError(f"/etc/fstab has no line for {folder}")
