#!/bin/sh
# After a power cut: every state is sound or can be repaired, and what was synchronised is there.
. "$(dirname "$0")/ktap.sh"
. "$(dirname "$0")/vexfs.sh"
. "$(dirname "$0")/power.sh"

synced_files_are_there() {
	record
	mkdir -p "$mnt/new/folder"
	random_bytes 30000 >"$mnt/new/folder/file"
	sync "$mnt/new/folder/file"
	promise new/folder/file
	for number in 1 2 3 4 5; do
		random_bytes $((number * 9000)) >"$mnt/new/$number"
		echo unsynced >"$mnt/new/folder/unsynced-$number"
		sync "$mnt/new/$number"
		promise "new/$number"
	done
	# Only the content is asked for, but it is of no use without the size and the blocks.
	random_bytes 200000 >"$mnt/large"
	sync -d "$mnt/large"
	promise large
	release new/1
	random_bytes 60000 >>"$mnt/new/1"
	printf changed | dd of="$mnt/new/1" conv=notrunc,fdatasync status=none
	promise new/1
	stop_and_replay
}

synced_directories_have_their_names() {
	record
	mkdir "$mnt/dir"
	for number in 1 2 3; do
		mkdir "$mnt/dir/sub-$number"
		ln -s "target/of/$number" "$mnt/dir/link-$number"
		: >"$mnt/dir/empty-$number"
		sync "$mnt/dir"
		promise "dir/sub-$number" "dir/link-$number" "dir/empty-$number"
	done
	ln "$mnt/dir/empty-1" "$mnt/dir/again"
	sync "$mnt/dir"
	promise dir/again
	release dir/empty-1 dir/sub-2 dir/link-3
	rm "$mnt/dir/empty-1" "$mnt/dir/link-3"
	rmdir "$mnt/dir/sub-2"
	sync "$mnt/dir"
	promise dir/empty-1 dir/sub-2 dir/link-3
	stop_and_replay
}

# The usual way to replace a file: there is always the old or the new one.
renamed_files_have_a_name() {
	record --inodes 512
	mkdir "$mnt/one" "$mnt/two"
	# So many that names are in several blocks of the directory.
	(cd "$mnt/one" && seq -f 'a-long-name-that-fills-the-directory-%04.0f' 1 90 | xargs touch)
	sync "$mnt/one"
	for number in 1 2 3 4; do
		random_bytes 5000 >"$mnt/one/file-$number"
		sync "$mnt/one/file-$number"
		promise "one/file-$number"
		release_to_rename "one/file-$number" "two/file"
		mv "$mnt/one/file-$number" "$mnt/two/file"
		sync "$mnt/one/a-long-name-that-fills-the-directory-0001"
		release "one/file-$number"
		promise "two/file" "one/file-$number"
	done
	mkdir "$mnt/one/dir"
	echo inside >"$mnt/one/dir/inside"
	sync "$mnt/one/dir/inside"
	promise one/dir/inside
	release_to_rename one/dir/inside two/dir/inside
	mv "$mnt/one/dir" "$mnt/two/dir"
	sync "$mnt/two"
	release one/dir/inside
	promise two/dir/inside
	# Only the state with one write of the two would have none of the names.
	state_limit=$((state_limit * 2))
	stop_and_replay singly
}

# Also when both names are in one block, which the inodes are not in.
replaced_files_are_old_or_new() {
	record
	random_bytes 5000 >"$mnt/file"
	sync "$mnt/file"
	promise file
	for number in 1 2 3 4 5 6; do
		random_bytes 5000 >"$mnt/new"
		sync "$mnt/new"
		promise new
		release_to_replace new file
		mv "$mnt/new" "$mnt/file"
		sync "$mnt/file"
		release new file
		promise file
	done
	stop_and_replay
}

# An older inode or block of pointers on the disk may still hold what was freed.
freed_blocks_are_not_shared() {
	record --inodes 512
	# With 110 blocks left, what is new has to take what is freed.
	head -c $((365 * 4096)) /dev/zero >"$mnt/filler"
	for round in 1 2 3 4; do
		# Both have their names before. Only their inodes change then, in two blocks of the table, of
		# which the disk may have one.
		: >"$mnt/old"
		(cd "$mnt" && seq -f "between-$round-%.0f" 1 16 | xargs touch)
		: >"$mnt/new"
		random_bytes 250000 >"$mnt/old"
		sync "$mnt/old"
		promise old
		release old
		truncate -s 0 "$mnt/old"
		random_bytes 250000 >"$mnt/new"
		sync "$mnt/new"
		promise old new
		release old new
		rm "$mnt/old" "$mnt/new"
	done
	# Each of the few states in which two files could have a block.
	state_limit=$((state_limit * 3))
	stop_and_replay singly
}

# Through all levels of pointers, and back.
grown_and_cut_files_are_sound() {
	record
	random_bytes 45000 >"$mnt/grown"
	sync "$mnt/grown"
	promise grown
	release grown
	for block in 11 12 13 1031 1032 1033 2052 2053; do
		random_bytes 4096 | dd of="$mnt/grown" bs=4096 seek="$block" conv=notrunc,fsync status=none
		promise grown
		release grown
	done
	truncate -s $((1033 * 4096 + 5)) "$mnt/grown"
	sync "$mnt/grown"
	promise grown
	release grown
	truncate -s 3000 "$mnt/grown"
	random_bytes 300000 >"$mnt/other"
	sync "$mnt/other" "$mnt/grown"
	promise other grown
	release other
	truncate -s 0 "$mnt/other"
	truncate -s 100000 "$mnt/other"
	sync "$mnt/other"
	promise other
	stop_and_replay
}

large_directories_are_sound() {
	record --inodes 1024
	mkdir "$mnt/dir"
	# From direct blocks to a block of pointers: 12 blocks hold 612 of these names.
	for hundred in 0 1 2 3 4 5 6 7; do
		(cd "$mnt/dir" && seq -f "$hundred-a-name-that-fills-the-directory-fast-it-has-70-bytes-%08.0f" 1 100 |
			xargs touch)
		echo "$hundred" >"$mnt/dir/file-$hundred"
		sync "$mnt/dir"
		promise "dir/$hundred-a-name-that-fills-the-directory-fast-it-has-70-bytes-00000100"
	done
	(cd "$mnt/dir" && seq -f '0-a-name-that-fills-the-directory-fast-it-has-70-bytes-%08.0f' 1 99 |
		xargs rm)
	stop_and_replay
}

# sync(2) and unmounting ask for everything.
everything_is_there_after_sync() {
	record
	for number in 1 2 3; do
		mkdir "$mnt/$number"
		random_bytes $((number * 50000)) >"$mnt/$number/file"
		ln -s anywhere "$mnt/$number/link"
		sync -f "$mnt"
		promise "$number/file" "$number/link"
	done
	random_bytes 70000 >"$mnt/last"
	expected=$(hash "$mnt/last")
	stop_and_replay
	mount -t vexfs -o ro /dev/mapper/vexfs-data "$mnt"
	expect "hash of what was written just before unmounting" "$expected" "$(hash "$mnt/last")"
	umount "$mnt"
	"$vexctl" check "$scratch/before"
}

ktap_case "synchronised files survive a power cut with name and content" synced_files_are_there
ktap_case "synchronised directories survive a power cut with their names" synced_directories_have_their_names
ktap_case "a file being renamed survives a power cut under one of its names" renamed_files_have_a_name
ktap_case "a file being replaced is the old or the new one after a power cut" replaced_files_are_old_or_new
ktap_case "what was freed and taken again belongs to one file after a power cut" freed_blocks_are_not_shared
ktap_case "files that grow and are cut are sound after a power cut" grown_and_cut_files_are_sound
ktap_case "directories that grow are sound after a power cut" large_directories_are_sound
ktap_case "everything survives a power cut after sync and after unmounting" everything_is_there_after_sync
ktap_before_each mark_kernel_log
ktap_after_each forget_recording
ktap_run
