#!/bin/sh
# A disk that is not what it should be: an error for whoever asks, and never trust.
. "$(dirname "$0")/ktap.sh"
. "$(dirname "$0")/vexfs.sh"

# write_and_sync FILE TEXT
write_and_sync() {
	printf %s "$2" | dd of="$1" conv=fsync status=none
	sync "$(dirname "$1")"
}

# What is on the disk while mounted is what a power cut would leave.
interrupted_use_is_noticed() {
	fresh --blocks 600
	write_and_sync "$mnt/synced" important
	dd if="$disk" of="$work/image" bs=4096 count=600 iflag=direct status=none
	umount "$mnt"
	dd if="$work/image" of="$disk" bs=4096 conv=fsync status=none
	refuses mount -t vexfs "$disk" "$mnt"
	kernel_says "not unmounted in good order"
	mount -t vexfs -o ro "$disk" "$mnt"
	expect "what was synced" important "$(cat "$mnt/synced")"
	refuses mount -o remount,rw "$mnt"
	umount "$mnt"
	refuses "$vexctl" check "$disk"
	"$vexctl" check --repair "$disk"
	mount -t vexfs "$disk" "$mnt"
	expect "what was synced, after the repair" important "$(cat "$mnt/synced")"
	unmount_and_check
}

damaged_superblocks_are_refused() {
	refuses_damage() {
		"$vexctl" mkfs --blocks 600 "$disk"
		poke 0 "$1" "$2"
		refuses mount -t vexfs "$disk" "$mnt"
		kernel_says "$3"
		status=0
		"$vexctl" check "$disk" 2>"$work/message" || status=$?
		expect "exit status of vexctl check" 3 "$status"
		mark_kernel_log
	}
	refuses_damage 0 X "no vexfs here"
	refuses_damage 4 XXXX "wrong checksum"
	refuses_damage 17 X "wrong checksum"
	refuses_damage 100 X "wrong checksum"
}

damaged_inodes_are_refused() {
	fresh --blocks 600 --inodes 32
	echo one >"$mnt/one"
	echo two >"$mnt/two"
	umount "$mnt"
	table=$("$vexctl" stat "$disk" | sed -n 's/^inode table: *block //p')
	# The size of inode 2, which is the first file.
	poke "$table" $((256 + 32)) X
	mount -t vexfs "$disk" "$mnt"
	refuses cat "$mnt/one"
	grep -q 'needs cleaning' "$work/refusal"
	kernel_says "damaged: inode 2: wrong checksum"
	expect "the file beside it" two "$(cat "$mnt/two")"
	umount "$mnt"
	kernel_says "not marked clean"
	refuses "$vexctl" check "$disk"
	grep -q 'inode 2: wrong checksum' "$work/refusal"
}

damaged_directories_are_refused() {
	fresh --blocks 600 --inodes 32
	mkdir "$mnt/dir"
	echo inside >"$mnt/dir/file"
	umount "$mnt"
	data=$("$vexctl" stat "$disk" | sed -n 's/^data: *block //p')
	# The root's block is the first, that of the new directory the second.
	poke $((data + 1)) 2000 X
	mount -t vexfs "$disk" "$mnt"
	refuses ls "$mnt/dir"
	grep -q 'needs cleaning' "$work/refusal"
	refuses touch "$mnt/dir/other"
	echo fine >"$mnt/beside"
	umount "$mnt"
	refuses "$vexctl" check "$disk"
}

damaged_bitmaps_are_refused() {
	for block in 1 2; do
		"$vexctl" mkfs --blocks 600 "$disk"
		poke "$block" 1000 X
		refuses mount -t vexfs "$disk" "$mnt"
		kernel_says "block $block of inode 0: wrong checksum"
		"$vexctl" check --repair "$disk"
		mount -t vexfs "$disk" "$mnt"
		umount "$mnt"
		mark_kernel_log
	done
}

other_disks_are_refused() {
	"$vexctl" mkfs --blocks 600 "$disk"
	dd if=/dev/zero of="$disk" bs=4096 count=1 conv=notrunc status=none
	refuses mount -t vexfs "$disk" "$mnt"
	grep -q 'wrong fs type' "$work/refusal"
}

ktap_case "use without unmount is noticed, and repaired" interrupted_use_is_noticed
ktap_case "a damaged superblock is refused" damaged_superblocks_are_refused
ktap_case "a damaged inode is refused, others are not" damaged_inodes_are_refused
ktap_case "a damaged directory is refused, others are not" damaged_directories_are_refused
ktap_case "a damaged bitmap is refused, and repaired" damaged_bitmaps_are_refused
ktap_case "a disk without a vexfs is refused" other_disks_are_refused
ktap_before_each mark_kernel_log
ktap_after_each leave_file_system
ktap_run
