# shellcheck shell=sh disable=SC2154 # variables of vexfs.sh
# Power cuts: a workload is recorded by dm-log-writes (the kernel's
# Documentation/admin-guide/device-mapper/log-writes.rst), then each state that a power cut could
# have left is made again, repaired, mounted and compared with what was promised at that point.
#
# Killing the guest would show nothing: the host's page cache keeps what a disk would have lost.

replay_log=$source_tree/rust/target/release/replay_log
# Blocks of the recorded file system; the rest of the test disk holds the log.
recorded_blocks=512
recorded=/dev/mapper/vexfs-recorded
log_device=/dev/mapper/vexfs-log
# States that a case replays at most.
state_limit=${VEXFS_POWER_CUT_STATES:-12}

# In memory, for the speed of it.
scratch=/dev/shm/vexfs-power-cut.$$
promises=$scratch/promises

# An empty file system at $mnt whose writes are recorded.
record() {
	sectors=$((recorded_blocks * 8))
	modprobe dm-log-writes 2>/dev/null || skip "this kernel has no dm-log-writes"
	mkdir "$scratch"
	: >"$promises"
	: >"$promises."
	point=0
	copies=0
	truncate -s $((recorded_blocks * 4096)) "$scratch/before"
	"$vexctl" mkfs "$@" "$scratch/before"
	dmsetup create vexfs-data --table "0 $sectors linear $disk 0"
	dmsetup create vexfs-log --table "0 $(($(blockdev --getsz "$disk") - sectors)) linear $disk $sectors"
	# A log of an earlier case must not be taken for this one.
	dd if=/dev/zero of="$log_device" bs=4096 count=1 conv=fsync status=none
	dd if="$scratch/before" of=/dev/mapper/vexfs-data bs=1M conv=fsync status=none
	dmsetup create vexfs-recorded \
		--table "0 $sectors log-writes /dev/mapper/vexfs-data $log_device"
	mount -t vexfs "$recorded" "$mnt"
}

# From this point of the log on the promises are what they are now.
note_point() {
	point=$((point + 1))
	cp "$promises" "$promises.$point"
	dmsetup message vexfs-recorded 0 mark "$point"
}

# promise NAME...: these have been synchronised, and are there from now on as they are.
promise() {
	for name in "$@"; do
		path=$mnt/$name
		if [ -L "$path" ]; then
			echo "link $name $(readlink "$path")"
		elif [ -d "$path" ]; then
			echo "directory $name"
		elif [ -e "$path" ]; then
			copies=$((copies + 1))
			cp "$path" "$scratch/copy-$copies"
			echo "file $name $scratch/copy-$copies"
		else
			echo "nothing $name"
		fi
	done >>"$promises"
	note_point
}

# release NAME...: these are about to be changed, and until the next promise all is allowed.
release() {
	for name in "$@"; do
		sed -i "\\|^[a-z]* $name |d; \\|^[a-z]* $name\$|d" "$promises"
	done
	note_point
}

# release_to_rename OLD NEW: until the next promise the file has one of these names.
release_to_rename() {
	sed -i "\\|^[a-z]* $2 |d; s|^file $1 |either $1 $2 |" "$promises"
	note_point
}

# release_to_replace OLD NEW: until the next promise NEW is what it was, or what OLD is.
release_to_replace() {
	copy=$(sed -n "s|^file $1 ||p" "$promises")
	sed -i "s|^file $2 |replaced $2 $copy |; s|^file $1 |either $1 $2 |" "$promises"
	note_point
}

# stop_and_replay [singly]: tries each state at a flush or a point, and beyond it a part of the writes of
# the disk's cache, and each of them by itself.
stop_and_replay() {
	umount "$mnt"
	# The mark that the recording ends with by itself.
	cp "$promises" "$promises.dm-log-writes-end"
	dmsetup remove vexfs-recorded
	: >"$scratch/state"
	truncate -s $((recorded_blocks * 4096)) "$scratch/state"
	loop=$(losetup --find --show "$scratch/state")
	tried=$("$replay_log" "$log_device" "$scratch/before" "$scratch/state" "$loop" "$mnt" \
		"$promises" "$vexctl" "$state_limit" "$@")
	say "$tried"
}

# After each case: nothing of it is left.
forget_recording() {
	leave_nothing_mounted
	for name in vexfs-recorded vexfs-log vexfs-data; do
		! dmsetup info "$name" >/dev/null 2>&1 || dmsetup remove "$name"
	done
	losetup --associated "$scratch/state" --noheadings --output NAME | xargs -r losetup --detach
	rm -rf "$scratch"
	no_kernel_complaint
}
