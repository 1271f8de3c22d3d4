/** What is recorded: which fault, from where, with which settings of the guest's kernel. */

export interface Recording {
  /** The fixture's name. */
  readonly name: string;
  /** Words of the shell, as root, in the folder of the built module. */
  readonly command: string;
  /** Settings of the kernel before it, files below /proc/sys and /sys. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** Only a kernel with sanitizers has something to say of it. */
  readonly sanitizers?: true;
  /** How long the kernel gets to notice when the command does not end; 5 by default. */
  readonly seconds?: number;
}

export const insmod = (fault: string, at = "init"): string =>
  `insmod faults.ko fault=${fault} at=${at}`;
// _IO('F', 1)
const ioctl = `python3 -c 'import fcntl; fcntl.ioctl(open("/dev/faults", "rb"), 0x4601)'`;

const fault = (name: string, more: Omit<Recording, "name" | "command"> = {}): Recording => ({
  name,
  command: insmod(name),
  ...more,
});

// The kernel's own limits are 10 to 120 seconds; nothing else changes with them.
const soonWatched = { "/proc/sys/kernel/watchdog_thresh": 3 };
const soonStalled = { "/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout": 5 };
const soonHung = {
  "/proc/sys/kernel/hung_task_timeout_secs": 4,
  "/proc/sys/kernel/hung_task_check_interval_secs": 2,
};
const lockups = { settings: soonWatched, seconds: 14 };
const stalls = { settings: soonStalled, seconds: 12 };
const hangs = { settings: soonHung, seconds: 14 };

export const recordings: readonly Recording[] = [
  fault("null-pointer"),
  { name: "null-pointer-exit", command: `${insmod("null-pointer", "exit")}; rmmod faults` },
  { name: "null-pointer-ioctl", command: `${insmod("null-pointer", "ioctl")}; ${ioctl}` },
  { name: "null-pointer-work", command: insmod("null-pointer", "work") },
  {
    name: "null-pointer-panic",
    command: insmod("null-pointer"),
    settings: { "/proc/sys/kernel/panic_on_oops": 1 },
  },
  fault("page-fault"),
  fault("general-protection"),
  fault("invalid-opcode"),
  fault("divide-error"),
  fault("bug"),
  fault("warn"),
  fault("warn-text"),
  {
    name: "warn-panic",
    command: insmod("warn"),
    settings: { "/proc/sys/kernel/panic_on_warn": 1 },
  },
  fault("panic"),
  fault("init-error"),
  fault("printk-flood", { seconds: 30 }),
  fault("soft-lockup", lockups),
  {
    name: "soft-lockup-panic",
    command: insmod("soft-lockup"),
    ...lockups,
    settings: { ...soonWatched, "/proc/sys/kernel/softlockup_panic": 1 },
  },
  {
    name: "hard-lockup",
    // The other processor keeps the clock, and has something to wait for.
    command: `taskset -c 0 sh -c 'while :; do :; done' & taskset -c 1 ${insmod("hard-lockup")}`,
    settings: { ...soonWatched, ...soonStalled },
    seconds: 25,
  },
  fault("rcu-stall", stalls),
  fault("endless-loop", lockups),
  fault("scheduling-while-atomic"),
  fault("sleeping-in-atomic"),
  fault("uninterruptible-wait", hangs),
  // The thread hangs, not the command: the kernel still needs its time to notice.
  { name: "hung-task", command: `${insmod("hung-task")}; sleep 12`, ...hangs },
  fault("deadlock", hangs),
  {
    name: "hung-task-panic",
    command: insmod("uninterruptible-wait"),
    ...hangs,
    settings: { ...soonHung, "/proc/sys/kernel/hung_task_panic": 1 },
  },
  fault("list-add-twice"),
  fault("list-del-twice"),
  fault("slab-overrun"),
  fault("double-free"),
  fault("use-after-free"),
  fault("kmalloc-double-free"),
  fault("leak"),
  fault("kmalloc-leak"),
  {
    name: "kmemleak",
    command: `${insmod("kmalloc-leak")}; cd /sys/kernel/debug; echo scan >kmemleak; sleep 6; echo scan >kmemleak; cat kmemleak >/dev/ttyS0`,
    sanitizers: true,
    seconds: 120,
  },
  // What only kernels with sanitizers notice.
  ...["lock-order", "read-beyond", "read-freed", "read-beyond-stack", "read-beyond-global"].map(
    (name) => fault(name),
  ),
  fault("stack-overflow", { seconds: 20 }),
  fault("out-of-memory", { seconds: 60 }),
  fault("reboot", { seconds: 12 }),
  fault("power-off"),
  fault("stop-timer", lockups),
  { name: "sysrq-panic", command: "echo c >/proc/sysrq-trigger" },
  {
    name: "two-warnings",
    command: `${insmod("warn")}; rmmod faults; ${insmod("warn-text")}`,
  },
  {
    // Each on a processor of its own, as close to each other as two processes get.
    name: "two-processors",
    command: `${insmod("null-pointer", "ioctl")}; for cpu in 0 1; do taskset -c $cpu ${ioctl} & done; wait`,
  },
  {
    name: "root-disk-error",
    command: "echo vexlab >/sys/fs/ext4/vda/trigger_fs_error",
  },
  {
    name: "user-fault",
    command: "sh -c 'kill -SEGV $$'; python3 -c 'import ctypes; ctypes.string_at(1)'",
  },
  {
    name: "imitation",
    command:
      "echo 'BUG: kernel NULL pointer dereference, address: 0000000000000000'; echo '[   12.345678] Kernel panic - not syncing: imitation'",
  },
];
