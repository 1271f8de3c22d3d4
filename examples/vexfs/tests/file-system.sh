#!/bin/sh
# The file system on the test disk: every operation, and what is on the disk after it.
. "$(dirname "$0")/ktap.sh"
. "$(dirname "$0")/vexfs.sh"

disk_is_made_and_mounted() {
	fresh --blocks 16384 --inodes 1024 --label test
	grep -q " $mnt vexfs rw" /proc/mounts || fail "not in /proc/mounts"
	expect "block size" 4096 "$(stat -f -c %s "$mnt")"
	expect "inodes" 1024 "$(stat -f -c %c "$mnt")"
	expect "free inodes" 1023 "$(free_inodes)"
	# Superblock, two bitmaps, 64 blocks of inodes and the root are taken.
	expect "free blocks" $((16384 - 67 - 1)) "$(free_blocks)"
	expect "links of the root" 2 "$(stat -c %h "$mnt")"
	"$vexctl" stat "$disk" | grep -q '^state: *in use$'
	unmount_and_check
	"$vexctl" stat "$disk" | grep -q '^state: *clean$'
}

files_are_written_and_read() {
	fresh
	: >"$mnt/empty"
	echo "a line" >"$mnt/line"
	random_bytes 100000 >"$work/data"
	cp "$work/data" "$mnt/data"
	remount
	expect "size of an empty file" 0 "$(stat -c %s "$mnt/empty")"
	expect content "a line" "$(cat "$mnt/line")"
	cmp "$work/data" "$mnt/data"
	expect "blocks of 512 bytes, one of them of pointers" $((26 * 8)) "$(stat -c %b "$mnt/data")"
	unmount_and_check
}

files_are_changed_in_place() {
	fresh
	random_bytes 50000 >"$work/data"
	cp "$work/data" "$mnt/data"
	remount
	for target in "$work/data" "$mnt/data"; do
		printf middle | dd of="$target" bs=1 seek=8190 conv=notrunc status=none
		printf end >>"$target"
	done
	cmp "$work/data" "$mnt/data"
	remount
	cmp "$work/data" "$mnt/data"
	unmount_and_check
}

attributes_persist() {
	fresh
	echo x >"$mnt/file"
	chown 1234:4321 "$mnt/file"
	chmod 4711 "$mnt/file"
	touch -d '1999-12-31 23:59:59.123456789 UTC' "$mnt/file"
	before=$(stat -c '%a %u %g %y' "$mnt/file")
	remount
	expect attributes "$before" "$(stat -c '%a %u %g %y' "$mnt/file")"
	expect mode 4711 "$(stat -c %a "$mnt/file")"
	unmount_and_check
}

deleting_frees() {
	fresh
	: >"$mnt/before"
	blocks=$(free_blocks)
	inodes=$(free_inodes)
	random_bytes 6000000 >"$mnt/large"
	mkdir "$mnt/dir"
	rm "$mnt/large"
	rmdir "$mnt/dir"
	[ ! -e "$mnt/large" ] || fail "the name is still there"
	expect "free blocks" "$blocks" "$(free_blocks)"
	expect "free inodes" "$inodes" "$(free_inodes)"
	unmount_and_check
}

deleted_files_live_while_open() {
	fresh
	blocks=$(free_blocks)
	random_bytes 300000 >"$work/data"
	cp "$work/data" "$mnt/data"
	sync "$mnt/data"
	exec 3<"$mnt/data"
	# Out of the page cache, so that it has to be read from the disk once more.
	dd if="$mnt/data" iflag=nocache count=0 status=none
	rm "$mnt/data"
	cmp "$work/data" /proc/self/fd/3
	exec 3<&-
	expect "free blocks after closing" "$blocks" "$(free_blocks)"
	unmount_and_check
}

directories_have_links() {
	fresh
	mkdir -p "$mnt/a/b/c" "$mnt/a/d"
	: >"$mnt/a/file"
	expect "links of the root" 3 "$(stat -c %h "$mnt")"
	expect "links of a" 4 "$(stat -c %h "$mnt/a")"
	expect "links of a/b/c" 2 "$(stat -c %h "$mnt/a/b/c")"
	refuses rmdir "$mnt/a/b"
	grep -q 'not empty' "$work/refusal"
	rmdir "$mnt/a/b/c" "$mnt/a/b"
	expect "links of a" 3 "$(stat -c %h "$mnt/a")"
	unmount_and_check
}

renames_move_and_replace() {
	fresh
	mkdir "$mnt/one" "$mnt/two" "$mnt/one/sub" "$mnt/empty"
	echo first >"$mnt/one/file"
	echo second >"$mnt/two/file"
	mv "$mnt/one/file" "$mnt/one/a-much-longer-name-for-the-file"
	mv "$mnt/one/a-much-longer-name-for-the-file" "$mnt/two/file"
	expect "content of the replacement" first "$(cat "$mnt/two/file")"
	mv "$mnt/one/sub" "$mnt/two/sub"
	expect "links of one" 2 "$(stat -c %h "$mnt/one")"
	expect "links of two" 3 "$(stat -c %h "$mnt/two")"
	mv -T "$mnt/two" "$mnt/empty"
	expect "links of the root" 4 "$(stat -c %h "$mnt")"
	expect "content in a moved directory" first "$(cat "$mnt/empty/file")"
	refuses mv -T "$mnt/one" "$mnt/empty"
	refuses mv "$mnt/empty" "$mnt/empty/sub/below"
	expect names "empty empty/file empty/sub one" \
		"$(cd "$mnt" && find . -mindepth 1 | sed 's|^./||' | sort | xargs)"
	unmount_and_check
}

# Nothing else changes the target's directory, so the replacement has to reach the disk by itself.
replaced_names_persist() {
	fresh
	mkdir "$mnt/from" "$mnt/to"
	echo new >"$mnt/from/file"
	echo old >"$mnt/to/file"
	remount
	mv "$mnt/from/file" "$mnt/to/file"
	remount
	expect "content of the replacement" new "$(cat "$mnt/to/file")"
	unmount_and_check
}

links_share_and_point() {
	fresh
	echo shared >"$mnt/name"
	ln "$mnt/name" "$mnt/other"
	expect "links" 2 "$(stat -c %h "$mnt/name")"
	rm "$mnt/name"
	expect "content by the other name" shared "$(cat "$mnt/other")"
	expect "links" 1 "$(stat -c %h "$mnt/other")"
	ln -s other "$mnt/pointer"
	ln -s /nowhere/at/all "$mnt/dangling"
	remount
	expect "content through a symbolic link" shared "$(cat "$mnt/pointer")"
	expect "target" /nowhere/at/all "$(readlink "$mnt/dangling")"
	refuses ln "$mnt" "$mnt/itself"
	unmount_and_check
}

# The borders between direct pointers, one and two levels of pointers are at 12 and 1032.
large_files_cross_the_borders() {
	fresh
	random_bytes $((3 * 4096)) >"$work/piece"
	for block in 10 1030 2051; do
		for target in "$work/large" "$mnt/large"; do
			dd if="$work/piece" of="$target" bs=4096 seek="$block" conv=notrunc status=none
		done
	done
	# Nine blocks of data, one of pointers, and two below the double pointer and itself.
	expect "blocks of 512 bytes" $((13 * 8)) "$(stat -c %b "$mnt/large")"
	remount
	expect "hash with the holes" "$(hash "$work/large")" "$(hash "$mnt/large")"
	blocks=$(free_blocks)
	truncate -s $((1031 * 4096)) "$work/large" "$mnt/large"
	expect "hash after the cut" "$(hash "$work/large")" "$(hash "$mnt/large")"
	expect "free blocks after the cut" $((blocks + 2 + 3 + 3)) "$(free_blocks)"
	remount
	expect "hash of the cut after a remount" "$(hash "$work/large")" "$(hash "$mnt/large")"
	unmount_and_check
}

large_files_are_dense() {
	fresh
	random_bytes 6291456 >"$work/large"
	cp "$work/large" "$mnt/large"
	remount
	cmp "$work/large" "$mnt/large"
	rm "$work/large"
	unmount_and_check
}

cut_files_grow_with_zeros() {
	fresh
	head -c 10000 /dev/zero | tr '\0' x >"$mnt/file"
	# With the last page in memory the kernel would clear the rest of it by itself.
	remount
	truncate -s 5000 "$mnt/file"
	truncate -s 10000 "$mnt/file"
	head -c 5000 "$mnt/file" | tr -d x >"$work/kept"
	expect "bytes that were kept and are not x" 0 "$(stat -c %s "$work/kept")"
	tail -c 5000 "$mnt/file" | tr -d '\0' >"$work/grown"
	expect "bytes that came back and are not zero" 0 "$(stat -c %s "$work/grown")"
	unmount_and_check
}

mapped_files_are_written() {
	command -v python3 >/dev/null || skip "no python3 in this image"
	fresh
	truncate -s 20000 "$mnt/file"
	python3 - "$mnt/file" <<-'PYTHON'
		import mmap, sys
		with open(sys.argv[1], "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
		    mapped[0:5] = b"start"
		    mapped[16384:16387] = b"end"
	PYTHON
	remount
	expect "first bytes" start "$(head -c 5 "$mnt/file")"
	expect "bytes of the last page" end "$(tail -c +16385 "$mnt/file" | head -c 3)"
	expect "blocks of 512 bytes" 16 "$(stat -c %b "$mnt/file")"
	unmount_and_check
}

directories_hold_many_names() {
	fresh
	mkdir "$mnt/dir"
	# More than one call of getdents(2) takes: the C library has room for 32 KiB.
	(cd "$mnt/dir" && seq -f 'a-name-of-some-length-%04.0f' 1 800 | xargs touch)
	remount
	expect "names" 800 "$(find "$mnt/dir" -type f | wc -l)"
	[ "$(stat -c %s "$mnt/dir")" -gt 12288 ] || fail "the directory has not grown"
	(cd "$mnt/dir" && seq -f 'a-name-of-some-length-%04.0f' 1 2 800 | xargs rm)
	expect "names that are left" 400 "$(find "$mnt/dir" -type f | wc -l)"
	[ -e "$mnt/dir/a-name-of-some-length-0002" ] || fail "a wrong name was removed"
	size=$(stat -c %s "$mnt/dir")
	(cd "$mnt/dir" && seq -f 'a-second-name-as-long-%04.0f' 1 400 | xargs touch)
	expect "size when names fill the gaps" "$size" "$(stat -c %s "$mnt/dir")"
	rm -r "$mnt/dir"
	unmount_and_check
}

names_may_be_long() {
	fresh
	name=$(head -c 255 /dev/zero | tr '\0' n)
	echo long >"$mnt/$name"
	refuses touch "$mnt/${name}n"
	grep -q 'name too long' "$work/refusal"
	# Bytes that are no UTF-8 are a name like any other.
	: >"$mnt/$(printf 'odd\001\377 name')"
	remount
	expect content long "$(cat "$mnt/$name")"
	expect names 2 "$(find "$mnt" -mindepth 1 -print0 | tr -dc '\0' | wc -c)"
	rm "$mnt/$name"
	unmount_and_check
}

everything_persists() {
	fresh
	mkdir -p "$mnt/deep/er/and/deeper"
	for number in 1 2 3 4 5 6 7 8; do
		random_bytes $((number * number * 3000)) >"$mnt/deep/file-$number"
		random_bytes 10 >"$mnt/deep/er/and/deeper/file-$number"
	done
	tree=$(hash_tree "$mnt")
	remount
	expect "hash of the tree" "$tree" "$(hash_tree "$mnt")"
	unmount_and_check
	mount -t vexfs -o ro "$disk" "$mnt"
	expect "hash of the tree, read-only" "$tree" "$(hash_tree "$mnt")"
	umount "$mnt"
}

# What keeps the device open keeps what has been read of it in memory: udev does so now and then.
device_shows_what_was_written() {
	"$vexctl" mkfs --blocks 600 "$disk"
	exec 3<"$disk"
	head -c $((600 * 4096)) <&3 >/dev/null
	mount -t vexfs "$disk" "$mnt"
	marker="written by $work at $(date +%s.%N)"
	echo "$marker" >"$mnt/file"
	umount "$mnt"
	head -c $((600 * 4096)) "$disk" | grep -aqF "$marker" || fail "the device shows what was there before"
	exec 3<&-
	"$vexctl" check "$disk"
}

# As deep as one path may be.
trees_may_be_deep() {
	fresh
	path=$(printf 'a-level-of-it/%.0s' $(seq 250))
	mkdir -p "$mnt/$path"
	echo bottom >"$mnt/${path}file"
	remount
	expect "content at the bottom" bottom "$(cat "$mnt/${path}file")"
	expect "directories" 250 "$(find "$mnt" -mindepth 1 -type d | wc -l)"
	expect "links of the root" 3 "$(stat -c %h "$mnt")"
	rm -r "$mnt/a-level-of-it"
	expect "links of the root" 2 "$(stat -c %h "$mnt")"
	unmount_and_check
}

files_may_be_many() {
	fresh --inodes 4096
	inodes=$(free_inodes)
	for dir in 1 2 3 4 5 6 7 8 9 10; do
		mkdir "$mnt/$dir"
		(cd "$mnt/$dir" && seq 1 200 | split -l 1 -a 3 -d - file-)
	done
	remount
	expect "files" 2000 "$(find "$mnt" -type f -size -2 | wc -l)"
	expect "content of the last" 200 "$(cat "$mnt/10/file-199")"
	expect "sum of all contents" 201000 "$(find "$mnt" -type f -exec cat {} + | awk '{ sum += $1 } END { print sum }')"
	rm -r "${mnt:?}"/*
	expect "free inodes after deleting" "$inodes" "$(free_inodes)"
	unmount_and_check
}

# 12 + 1020 + 1020 * 1020 blocks.
files_have_a_largest_size() {
	fresh
	blocks=$(free_blocks)
	last=1041431
	printf end | dd of="$mnt/file" bs=1 seek=$((last * 4096 + 4093)) conv=notrunc status=none
	expect size $(((last + 1) * 4096)) "$(stat -c %s "$mnt/file")"
	expect "blocks of 512 bytes" $((3 * 8)) "$(stat -c %b "$mnt/file")"
	refuses dd if=/dev/zero of="$mnt/file" bs=1 count=1 seek=$(((last + 1) * 4096)) conv=notrunc status=none
	grep -q 'File too large' "$work/refusal"
	refuses truncate -s $(((last + 1) * 4096 + 1)) "$mnt/file"
	remount
	expect "last bytes" end "$(tail -c 3 "$mnt/file")"
	rm "$mnt/file"
	expect "free blocks after deleting" "$blocks" "$(free_blocks)"
	unmount_and_check
}

# A file system has to ask for leases since 7.0; before, each had them.
leases_are_broken() {
	command -v python3 >/dev/null || skip "no python3 in this image"
	fresh
	echo content >"$mnt/file"
	python3 - "$mnt/file" <<-'PYTHON'
		import fcntl, os, signal, sys
		name = sys.argv[1]
		signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
		file = os.open(name, os.O_RDONLY)
		fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
		assert fcntl.fcntl(file, fcntl.F_GETLEASE) == fcntl.F_RDLCK, "no lease"
		try:
		    os.open(name, os.O_WRONLY | os.O_NONBLOCK)
		except BlockingIOError:
		    pass
		else:
		    sys.exit("opened for writing in spite of the lease")
		assert signal.sigtimedwait([signal.SIGIO], 5), "the holder of the lease was not told"
		fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
		os.close(os.open(name, os.O_WRONLY | os.O_NONBLOCK))
	PYTHON
	unmount_and_check
}

# The writer of a mapping gets a signal: there is no other way to tell it.
full_disk_is_told_to_mappings() {
	command -v python3 >/dev/null || skip "no python3 in this image"
	fresh --blocks 600 --inodes 32
	truncate -s 40000 "$mnt/mapped"
	refuses dd if=/dev/zero of="$mnt/filler" bs=65536
	status=0
	python3 - "$mnt/mapped" 2>/dev/null <<-'PYTHON' || status=$?
		import mmap, sys
		with open(sys.argv[1], "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
		    mapped[20000] = 1
	PYTHON
	# 128 and SIGBUS.
	expect "exit status of the writer" 135 "$status"
	rm "$mnt/filler"
	printf x | dd of="$mnt/mapped" bs=1 seek=20000 conv=notrunc status=none
	unmount_and_check
}

full_disk_is_told_and_freed() {
	fresh --blocks 600 --inodes 32
	random_bytes 100000 >"$work/data"
	cp "$work/data" "$mnt/kept"
	blocks=$(free_blocks)
	refuses dd if=/dev/zero of="$mnt/filler" bs=65536
	grep -q 'No space left' "$work/refusal"
	expect "free blocks on a full disk" 0 "$(free_blocks)"
	refuses mkdir "$mnt/dir"
	cmp "$work/data" "$mnt/kept"
	rm "$mnt/filler"
	expect "free blocks after deleting" "$blocks" "$(free_blocks)"
	for number in $(seq 1 30); do
		: >"$mnt/file-$number"
	done
	refuses touch "$mnt/one-more"
	grep -q 'No space left' "$work/refusal"
	expect "free inodes" 0 "$(free_inodes)"
	rm "$mnt"/file-*
	unmount_and_check
}

read_only_is_kept() {
	fresh
	echo before >"$mnt/file"
	mount -o remount,ro "$mnt"
	"$vexctl" stat "$disk" | grep -q '^state: *clean$'
	refuses touch "$mnt/other"
	grep -q 'Read-only' "$work/refusal"
	mount -o remount,rw "$mnt"
	echo after >"$mnt/file"
	"$vexctl" stat "$disk" | grep -q '^state: *in use$'
	umount "$mnt"
	mount -t vexfs -o ro "$disk" "$mnt"
	refuses touch "$mnt/other"
	expect content after "$(cat "$mnt/file")"
	umount "$mnt"
	"$vexctl" check "$disk"
}

# Four at a time, with writes that are long enough to meet, for longer than it takes to start them.
append_side_by_side() {
	head -c 7000000 /dev/zero | tr '\0' x >"$work/x"
	set --
	for _ in 1 2 3 4; do
		dd if="$work/x" of="$mnt/long" bs=70000 oflag=append conv=notrunc 2>&1 &
		set -- "$@" "$!"
	done
	wait_for "$@"
}

writers_do_not_disturb_each_other() {
	fresh
	set --
	for writer in 1 2 3 4; do
		(
			mkdir "$mnt/$writer"
			for number in 1 2 3 4 5 6; do
				head -c 70000 /dev/zero | tr '\0' "$writer" >"$mnt/$writer/$number"
				[ $((number % 2)) -eq 0 ] || rm "$mnt/$writer/$number"
				echo "$writer $number" >>"$mnt/all"
			done
			# As fast as they can, to meet at the same place.
			for line in $(seq 200); do
				echo "$writer $line"
			done >>"$mnt/all"
		) &
		set -- "$@" "$!"
	done
	wait_for "$@"
	append_side_by_side
	remount
	expect "size of what was appended" 28000000 "$(stat -c %s "$mnt/long")"
	expect "bytes in it that nobody wrote" 0 "$(tr -d x <"$mnt/long" | wc -c)"
	expect "lines of all writers" $((4 * (6 + 200))) "$(wc -l <"$mnt/all")"
	for writer in 1 2 3 4; do
		for number in 2 4 6; do
			expect "bytes of file $number of writer $writer" 70000 \
				"$(tr -dc "$writer" <"$mnt/$writer/$number" | wc -c)"
		done
	done
	unmount_and_check
}

ktap_case "the test disk is made and mounted, statfs tells its size" disk_is_made_and_mounted
ktap_case "files are created, written and read" files_are_written_and_read
ktap_case "files are changed in place and appended to" files_are_changed_in_place
ktap_case "mode, owner and times persist" attributes_persist
ktap_case "sparse files cross the borders of the pointers" large_files_cross_the_borders
ktap_case "deleting frees every block and inode" deleting_frees
ktap_case "a deleted file lives while it is open" deleted_files_live_while_open
ktap_case "directories count their links" directories_have_links
ktap_case "rename moves and replaces files and directories" renames_move_and_replace
ktap_case "a name that rename replaced persists" replaced_names_persist
ktap_case "hard links share and symbolic links point" links_share_and_point
ktap_case "a large dense file keeps its content" large_files_are_dense
ktap_case "a file that was cut grows with zeros" cut_files_grow_with_zeros
ktap_case "a file is written through a mapping" mapped_files_are_written
ktap_case "a lease is broken by who opens the file for writing" leases_are_broken
ktap_case "a directory grows, shrinks and reuses its gaps" directories_hold_many_names
ktap_case "names of 255 bytes and odd bytes" names_may_be_long
ktap_case "a tree persists over remount" everything_persists
ktap_case "the device shows after unmounting what was written" device_shows_what_was_written
ktap_case "a tree of 250 levels" trees_may_be_deep
ktap_case "2000 files in ten directories" files_may_be_many
ktap_case "a file ends at the largest size" files_have_a_largest_size
ktap_case "a mapping on a full disk gets a signal" full_disk_is_told_to_mappings
ktap_case "a full disk says so and recovers" full_disk_is_told_and_freed
ktap_case "read-only mounts and remounts are kept" read_only_is_kept
ktap_case "concurrent writers do not disturb each other" writers_do_not_disturb_each_other
ktap_before_each mark_kernel_log
ktap_after_each leave_file_system
ktap_run
