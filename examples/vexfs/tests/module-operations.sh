#!/bin/sh
# The module comes, says so, and goes without a trace.
. "$(dirname "$0")/ktap.sh"
. "$(dirname "$0")/vexfs.sh"

is_loaded() {
	grep -q '^vexfs ' /proc/modules
}

is_registered() {
	grep -qw vexfs /proc/filesystems
}

has_slab_cache() {
	grep -q '^vexfs_inode ' /proc/slabinfo
}

loads_without_parameters() {
	! is_loaded || fail "loaded before the suite began"
	insmod "$module"
	is_registered || fail "not in /proc/filesystems"
	kernel_says "vexfs: loaded, format 1"
	expect "parameter debug" N "$(cat /sys/module/vexfs/parameters/debug)"
}

# Kernel addresses are zeros for an ordinary user, but the names are there.
symbols_are_in_kallsyms() {
	insmod "$module"
	grep -q '[tT] vexfs_store_inode.*\[vexfs\]' /proc/kallsyms
}

debug_logs_mounts() {
	insmod "$module" debug=1
	expect "parameter debug" Y "$(cat /sys/module/vexfs/parameters/debug)"
	fresh
	kernel_says "mounted,"
	echo N >/sys/module/vexfs/parameters/debug
	mark_kernel_log
	umount "$mnt"
	read_kernel_log
	! grep -q unmounted "$work/log" || fail "logs after debug was switched off"
}

refuses_a_wrong_value() {
	refuses insmod "$module" debug=perhaps
	! is_loaded || fail "loaded all the same"
	! is_registered || fail "registered all the same"
	kernel_says "invalid for parameter"
}

names_an_unknown_parameter() {
	insmod "$module" colour=blue
	kernel_says "unknown parameter 'colour' ignored"
}

stays_while_mounted() {
	insmod "$module"
	fresh
	refuses rmmod vexfs
	grep -qi 'in use' "$work/refusal"
	echo alive >"$mnt/file"
	expect "content after the refusal" alive "$(cat "$mnt/file")"
	umount "$mnt"
	rmmod vexfs
}

leaves_nothing() {
	insmod "$module"
	fresh
	has_slab_cache || fail "no slab cache while mounted"
	echo something >"$mnt/file"
	umount "$mnt"
	rmmod vexfs
	! is_loaded || fail "in /proc/modules"
	! is_registered || fail "in /proc/filesystems"
	[ ! -e /sys/module/vexfs ] || fail "in /sys/module"
	! has_slab_cache || fail "the slab cache is there"
	kernel_says "vexfs: unloaded"
}

# A file system that nobody sees any more is in use as long as a file of it is.
stays_while_a_file_is_open() {
	insmod "$module"
	fresh
	echo alive >"$mnt/file"
	exec 3<"$mnt/file"
	umount -l "$mnt"
	refuses rmmod vexfs
	expect "content after the refusal" alive "$(cat <&3)"
	exec 3<&-
	rmmod vexfs
}

# Under way: thousands of inodes that the unmount has freed.
waits_for_what_was_freed() {
	insmod "$module"
	fresh --inodes 4096
	(cd "$mnt" && seq 1 4000 | xargs touch)
	python3 "$source_tree/tests/unload_at_once.py" "$mnt" vexfs
	! is_loaded || fail "in /proc/modules"
	! has_slab_cache || fail "the slab cache is there"
}

says_nothing_unexpected() {
	insmod "$module"
	fresh
	echo something >"$mnt/file"
	mount -o remount,ro "$mnt"
	mount -o remount,rw "$mnt"
	umount "$mnt"
	rmmod vexfs
	read_kernel_log
	# What every module that is not of the kernel's own tree makes the kernel say.
	grep -v -e ': loading out-of-tree module taints kernel' \
		-e ': module verification failed: signature' "$work/log" |
		sed 's/^\[[^]]*\] //' >"$work/messages"
	expect messages "vexfs: loaded, format 1
vexfs: unloaded" "$(cat "$work/messages")"
}

leave_nothing_loaded() {
	leave_nothing_mounted
	! is_loaded || rmmod vexfs
	no_kernel_complaint
}

ktap_case "loads without parameters and registers the file system" loads_without_parameters
ktap_case "its functions are in kallsyms" symbols_are_in_kallsyms
ktap_case "debug logs mounts and can be switched off" debug_logs_mounts
ktap_case "a wrong value of a parameter is refused" refuses_a_wrong_value
ktap_case "an unknown parameter is named in the log" names_an_unknown_parameter
ktap_case "can't be unloaded while mounted" stays_while_mounted
ktap_case "unloading leaves nothing behind" leaves_nothing
ktap_case "unloading waits for the inodes that were freed just before" waits_for_what_was_freed
ktap_case "can't be unloaded while a file of a detached mount is open" stays_while_a_file_is_open
ktap_case "the kernel's log has what is expected and nothing else" says_nothing_unexpected
ktap_before_each mark_kernel_log
ktap_after_each leave_nothing_loaded
ktap_run
