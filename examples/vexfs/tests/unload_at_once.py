"""unload_at_once.py MOUNT-POINT MODULE: unmounts, and unloads the module before anything else happens.

The inodes that an unmount frees wait for the end of a grace period, on the processor that has freed
them. Another processor, which has none, learns of that end before all of them are gone.
"""
import ctypes
import os
import platform
import sys

# asm/unistd_64.h and asm-generic/unistd.h; the C library has no function for it.
DELETE_MODULE = {"x86_64": 176, "aarch64": 106}[platform.machine()]

libc = ctypes.CDLL(None, use_errno=True)
mount_point, module = (os.fsencode(word) for word in sys.argv[1:])
processors = sorted(os.sched_getaffinity(0))

os.sched_setaffinity(0, processors[:1])
if libc.umount2(mount_point, 0) != 0:
    sys.exit(f"umount: {os.strerror(ctypes.get_errno())}")
os.sched_setaffinity(0, processors[-1:])
if libc.syscall(DELETE_MODULE, module, os.O_NONBLOCK) != 0:
    sys.exit(f"delete_module: {os.strerror(ctypes.get_errno())}")
