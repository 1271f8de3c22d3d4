#!/bin/sh
# Disks with damage that checksums don't show, by the hundred: errors, but the kernel lives.
. "$(dirname "$0")/ktap.sh"
. "$(dirname "$0")/vexfs.sh"

fuzz_image=$source_tree/rust/target/release/fuzz_image
# A run that finds something is repeated with its seed.
seed=${VEXFS_FUZZ_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
copies=${VEXFS_FUZZ_COPIES:-200}
seconds=${VEXFS_FUZZ_SECONDS:-30}
scratch=/dev/shm/vexfs-fuzzed-disk.$$

# Something of everything: all levels of pointers, a directory of several blocks, links.
make_sample() {
	mkdir "$scratch"
	truncate -s 2M "$scratch/image"
	"$vexctl" mkfs --inodes 256 "$scratch/image"
	mount -t vexfs -o loop "$scratch/image" "$mnt"
	mkdir -p "$mnt/dir/below" "$mnt/empty"
	echo one >"$mnt/dir/one"
	(cd "$mnt/dir" && seq -f 'a-name-that-is-long-enough-to-fill-more-than-one-block-%04.0f' 1 70 |
		xargs -n 1 ln one)
	for number in 1 2 3 4; do
		random_bytes $((number * 10000)) >"$mnt/dir/below/$number"
	done
	random_bytes 80000 >"$mnt/indirect"
	random_bytes 5000 | dd of="$mnt/sparse" bs=4096 seek=1033 status=none
	ln "$mnt/indirect" "$mnt/dir/again"
	ln -s dir/below/1 "$mnt/link"
	umount "$mnt"
	"$vexctl" check "$scratch/image"
}

damaged_disks_do_no_harm() {
	make_sample
	cp "$scratch/image" "$scratch/state"
	loop=$(losetup --find --show "$scratch/state")
	status=0
	timeout $((seconds + 60)) "$fuzz_image" "$scratch/image" "$scratch/state" "$loop" "$mnt" \
		"$vexctl" "$seed" "$copies" "$seconds" >"$work/told" 2>"$work/seeds" || status=$?
	[ "$status" -eq 0 ] || {
		tail -n 3 "$work/seeds"
		fail "exit status $status of fuzz_image"
	}
	say "$(cat "$work/told")"
	fuzzed_kernel_is_well || {
		tail -n 3 "$work/seeds"
		fail "the kernel complains; to see it again: VEXFS_FUZZ_SEED=$seed VEXFS_FUZZ_COPIES=$copies"
	}
}

# The log may get more lines than it has room for: the mark would be gone, but its time is known.
mark_kernel_log
began=$(dmesg | tail -n 1 | sed 's/^\[ *\([0-9.]*\).*/\1/')
fuzzed_kernel_is_well() {
	! dmesg | awk -F '[][]' -v began="$began" '$2 + 0 >= began' |
		grep -E 'BUG|WARNING:|Oops|Call Trace|general protection|blocked for more than'
}

sound_disk_works_afterwards() {
	fresh --blocks 600
	echo fine >"$mnt/file"
	remount
	expect content fine "$(cat "$mnt/file")"
	unmount_and_check
}

forget_image() {
	leave_nothing_mounted
	losetup --associated "$scratch/state" --noheadings --output NAME | xargs -r losetup --detach
	rm -rf "$scratch"
	fuzzed_kernel_is_well
}

ktap_case "damaged disks do no harm to the kernel" damaged_disks_do_no_harm
ktap_case "a sound disk works after all of them" sound_disk_works_afterwards
ktap_after_each forget_image
ktap_run
