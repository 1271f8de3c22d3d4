"""unload_at_once.py MOUNT-POINT MODULE: unmounts, and unloads the module before anything else happens.

The inodes that an unmount frees wait for the end of a grace period. unregister_filesystem() waits for
one, too; but it gets an expedited one, and the others are made long meanwhile, so that whoever does not
wait for the inodes themselves is early.
"""
import ctypes
import os
import platform
import sys

# asm/unistd_64.h and asm-generic/unistd.h; the C library has no function for it.
DELETE_MODULE = {"x86_64": 176, "aarch64": 106}[platform.machine()]

# As in the kernel's kernel-parameters.txt: jiffies until idle processors are looked at, at most a
# second's; whether whoever waits for a grace period gets an expedited one.
SETTINGS = {
    "/sys/module/rcutree/parameters/jiffies_till_first_fqs": "1000",
    "/sys/kernel/rcu_expedited": "1",
}


def set_to(values):
    before = {}
    for file, value in values.items():
        with open(file) as setting:
            before[file] = setting.read()
        with open(file, "w") as setting:
            setting.write(value)
    return before


libc = ctypes.CDLL(None, use_errno=True)
mount_point, module = (os.fsencode(word) for word in sys.argv[1:])


def unmount_and_unload():
    if libc.umount2(mount_point, 0) != 0:
        sys.exit(f"umount: {os.strerror(ctypes.get_errno())}")
    if libc.syscall(DELETE_MODULE, module, os.O_NONBLOCK) != 0:
        sys.exit(f"delete_module: {os.strerror(ctypes.get_errno())}")


usual = set_to(SETTINGS)
try:
    unmount_and_unload()
finally:
    set_to(usual)
