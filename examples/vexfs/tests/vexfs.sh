# shellcheck shell=sh
# What the suites of vexfs share: paths, a file system to work on, the kernel's log.

source_tree=${VEXLAB_SOURCE:-$(cd "$(dirname "$0")/.." && pwd)}
# shellcheck disable=SC2034 # used by the suites
module=${VEXLAB_MODULES:-$source_tree/kernel}/vexfs.ko
vexctl=$source_tree/rust/target/release/vexctl
disk=${VEXLAB_TEST_DISK:-/dev/disk/by-id/virtio-vexlab-test}
# shellcheck disable=SC2154 # of ktap.sh
work=$ktap_folder
mnt=$work/mnt
mkdir "$mnt"

# A case's own output is shown when it fails; `say TEXT` is a diagnostic of the suite always.
exec 9>&1
say() {
	echo "# $*" >&9
}

# From here on `read_kernel_log` reads what the kernel says, into $work/log.
log_marks=0
mark_kernel_log() {
	log_marks=$((log_marks + 1))
	log_mark="vexfs tests: $work, mark $log_marks."
	echo "<4>$log_mark" >/dev/kmsg
}

# since_mark [PATTERN]: the lines of standard input after the mark, or those with the pattern. A mark that
# a case made in a shell of its own may come again: the last one counts. A log that has lost the mark
# proves nothing.
since_mark() {
	awk -v mark="$log_mark" -v wanted="${1-}" '
		index($0, mark) { found = 1; text = ""; next }
		found && (wanted == "" || $0 ~ wanted) { text = text $0 "\n" }
		END {
			printf "%s", text
			exit !found
		}' || fail "the kernel's log can't be read from the mark on"
}

read_kernel_log() {
	dmesg | since_mark >"$work/log" || exit 1
}

# kernel_says TEXT: the kernel's log has it since the mark.
kernel_says() {
	read_kernel_log
	grep -qF -- "$1" "$work/log" || {
		cat "$work/log"
		fail "not in the kernel's log: $1"
	}
}

# Nothing in the log since the mark may be a complaint of the kernel about itself.
no_kernel_complaint() {
	dmesg | since_mark 'BUG|WARNING:|Oops|Call Trace|general protection|refcount_t|list_(add|del) corruption' \
		>"$work/complaints" || exit 1
	[ ! -s "$work/complaints" ] || {
		cat "$work/complaints"
		fail "the kernel complains"
	}
}

# Nothing since the mark may be of a level above notice. What a slow machine makes the kernel say
# about its clocks and interrupts, and what loading any module from outside does, is not meant.
no_kernel_warning() {
	dmesg --level emerg,alert,crit,err,warn | since_mark >"$work/warnings" || exit 1
	if grep -v -e ': loading out-of-tree module taints kernel' \
		-e ': module verification failed: signature' \
		-e 'interrupt took' -e 'clocksource:' "$work/warnings"; then
		fail "the kernel warns"
	fi
}

is_mounted() {
	grep -q " $mnt " /proc/mounts
}

# fresh [OPTION...]: an empty file system on the test disk, mounted at $mnt; 64 MiB by default.
fresh() {
	[ $# -gt 0 ] || set -- --blocks 16384
	"$vexctl" mkfs "$@" "$disk"
	mount -t vexfs "$disk" "$mnt"
}

remount() {
	umount "$mnt"
	mount -t vexfs "$disk" "$mnt"
}

# Unmounts, and what is on the disk must be in order.
unmount_and_check() {
	umount "$mnt"
	"$vexctl" check "$disk"
}

# hash FILE
hash() {
	sha256sum <"$1"
}

# hash_tree FOLDER: all names and contents below it.
hash_tree() {
	(cd "$1" && find . | sort && find . -type f | sort | xargs sha256sum) | sha256sum
}

# free_blocks, free_inodes: as statfs() has them.
free_blocks() {
	stat -f -c %f "$mnt"
}

free_inodes() {
	stat -f -c %d "$mnt"
}

# random_bytes COUNT
random_bytes() {
	head -c "$1" /dev/urandom
}

# wait_for PROCESS...: each of them must succeed.
wait_for() {
	for process; do
		wait "$process"
	done
}

# poke BLOCK OFFSET TEXT: changes bytes of the disk behind the file system's back.
poke() {
	printf %s "$3" | dd of="$disk" bs=1 seek=$(($1 * 4096 + $2)) conv=notrunc status=none
}

leave_nothing_mounted() {
	! is_mounted || umount "$mnt" || umount -l "$mnt"
}

# After each case of a suite for which the module stays loaded.
leave_file_system() {
	leave_nothing_mounted
	no_kernel_complaint
}
